use super::world::{World, key};
use crate::{Instruction, WriteAction};

#[test]
fn an_app_that_is_deleted_is_stopped_everywhere_and_leaves_its_store() {
    let mut world = World::new(2);
    world.ready_app("hello");
    world.delete_app("hello");
    world.advance(120);
    assert!(
        world
            .runtimes
            .values()
            .all(|runtime| runtime.apps.is_empty())
    );
    assert!(world.api.services.is_empty() && world.api.slices.is_empty());
    assert_eq!(
        world.kinds_written(),
        [("Store", 1)].into(),
        "only who uses it"
    );
    assert!(
        world
            .index
            .grants()
            .values()
            .all(|grants| *grants == crate::PodGrants::default())
    );
}

#[test]
fn its_port_rests_also_when_it_is_made_again() {
    let mut world = World::new(1);
    world.ready_app("hello");
    let before = world.status("hello").port;
    world.delete_app("hello");
    world.app("hello", "hello");
    world.advance(60);
    assert!(world.is_ready("hello"));
    assert_ne!(world.status("hello").port, before);
    assert_eq!(
        world.runtime("node1").apps.len(),
        1,
        "the earlier one was stopped"
    );
}

#[test]
fn slices_that_garbage_collection_leaves_are_removed() {
    let mut world = World::new(1);
    world.ready_app("hello");
    let app = world.api.apps.remove(&key("hello")).unwrap();
    world.index.delete(&app);
    let mut orphan = world.api.services[&key("hello")].clone();
    orphan.metadata.owner_references = None;
    let now = world.now;
    let orphan = world.api.put_service(orphan, now);
    world.index.apply(orphan);
    world.advance(20);
    assert_eq!(world.api.slices.len(), 2);
    world.advance(20);
    assert!(
        world.api.slices.is_empty(),
        "another app may get the port later"
    );
    assert_eq!(world.api.services.len(), 1, "it is not ours any more");
}

#[test]
fn a_runtime_that_still_has_an_app_that_nobody_knows_is_told_to_stop_it() {
    let mut world = World::new(1);
    world.ready_app("hello");
    let app = world.api.apps.remove(&key("hello")).unwrap();
    world.api.services.clear();
    world.api.slices.clear();
    assert_eq!(app.metadata.name.as_deref(), Some("hello"));
    world.restart();
    world.advance(60);
    assert!(world.runtime("node1").apps.is_empty());
}

#[test]
fn an_app_that_is_being_deleted_makes_nothing_and_keeps_its_port() {
    let mut world = World::new(1);
    world.ready_app("hello");
    let mut app = world.api.apps[&key("hello")].clone();
    app.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
        world.now,
    ));
    app.metadata.resource_version = Some("999999".to_owned());
    world.index.apply(app);
    let plan = world.plan_one(&key("hello"));
    assert!(plan.writes.is_empty());
    assert!(
        plan.instructions
            .iter()
            .all(|told| told.instruction == Instruction::Stop)
    );
    world.ready_app("other");
    assert_ne!(world.status("other").port, world.status("hello").port);
    assert!(
        !world
            .writes
            .iter()
            .any(|write| matches!(write, WriteAction::CreateService(_)))
    );
}

#[test]
fn a_slice_that_pretends_to_be_ours_without_an_app_is_removed() {
    let mut world = World::new(1);
    world.ready_app("hello");
    let mut fake = world.api.slices.values().next().unwrap().clone();
    fake.metadata.name = Some("fake".to_owned());
    fake.metadata.uid = None;
    let labels = fake.metadata.labels.as_mut().unwrap();
    labels.insert("kubernetes.io/service-name".to_owned(), "nobody".to_owned());
    let now = world.now;
    let fake = world.api.put_slice(fake, now);
    world.index.apply(fake);
    world.advance(40);
    assert!(!world.api.slices.contains_key(&key("fake")));
    assert!(world.is_ready("hello"));
}

#[test]
fn an_app_that_cannot_be_read_is_left_as_it_is() {
    let mut world = World::new(2);
    world.ready_app("hello");
    world.ready_app("other");
    let app = world.api.apps.remove(&key("hello")).unwrap();
    let uid = app.metadata.uid.clone().unwrap();
    world.api.unreadable.push((key("hello"), uid));
    for restarted in [false, true] {
        if restarted {
            world.restart();
        } else {
            let others: Vec<_> = world.api.apps.values().cloned().collect();
            world.index.reset(others, &world.api.unreadable);
        }
        world.advance(120);
        assert_eq!(world.written(), []);
        for runtime in world.runtimes.values() {
            assert_eq!(runtime.apps.len(), 2);
            let all = world.index.node_assignments(&runtime.pod.uid);
            assert_eq!(all.set.len() + all.keep.len(), 2);
            assert_eq!(world.index.pod_grants(&runtime.pod.uid).store_ids.len(), 2);
        }
    }
    world.ready_app("third");
    assert_ne!(
        world.status("third").port,
        app.status.as_ref().unwrap().port
    );
    world
        .index
        .delete_by_metadata::<shoal_crds::App>(&app.metadata);
    world.advance(120);
    for runtime in world.runtimes.values() {
        assert!(runtime.apps.keys().all(|app| app.name != "hello"));
    }
}
