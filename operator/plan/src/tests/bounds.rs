use std::{collections::BTreeSet, time::Instant};

use super::world::{World, component, key};

fn world_of(apps: usize) -> World {
    let mut world = World::new(10);
    world
        .builder
        .image("hello", vec![component("", &["default"])]);
    for n in 0..apps {
        world.app(&format!("app-{n}"), "hello");
    }
    world.settle();
    world.advance(5);
    world.index.take_dirty();
    world
}

#[test]
fn a_change_touches_only_the_apps_that_it_concerns() {
    let mut world = world_of(60);
    let mut report = world.runtime("node1").apps.values().next().unwrap().clone();
    report.message = "something else".to_owned();
    let uid = world.runtime("node1").pod.uid.clone();
    let touched = report.app.key();
    world.index.runtime_report(&uid, false, vec![report], &[]);
    assert_eq!(world.index.take_dirty(), [touched]);

    let now = world.now;
    let service = world.api.services[&key("app-7")].clone();
    let service = world.api.put_service(service, now);
    world.index.apply(service.clone());
    assert_eq!(world.index.take_dirty(), [key("app-7")]);
    let slice = world.api.slices.values().next().unwrap().clone();
    let slice = world.api.put_slice(slice, now);
    world.index.apply(slice.clone());
    assert_eq!(world.index.take_dirty().len(), 1);
    let store = world.api.stores[&key("app-9-default")].clone();
    let store = world.api.put_store(store, now);
    world.index.apply(store.clone());
    assert_eq!(world.index.take_dirty(), [key("app-9")]);
    let app = world.api.apps[&key("app-3")].clone();
    world.index.apply(app);
    world.index.apply(service);
    world.index.apply(slice);
    world.index.apply(store);
    assert_eq!(world.index.take_dirty(), [], "as they were");

    let on_node: BTreeSet<_> = world
        .runtime("node3")
        .apps
        .keys()
        .map(crate::AppRef::key)
        .collect();
    assert!(on_node.len() < 30);
    world.kill("node3");
    assert_eq!(
        world
            .index
            .take_dirty()
            .into_iter()
            .collect::<BTreeSet<_>>(),
        on_node
    );
}

#[test]
fn a_node_object_that_changes_nothing_that_matters_touches_nobody() {
    let mut world = world_of(5);
    world.apply_node("node1", |node| {
        node.metadata.resource_version = Some("7".to_owned());
        node.metadata.annotations = Some([("heartbeat".to_owned(), "1".to_owned())].into());
    });
    assert_eq!(world.index.take_dirty(), []);
}

#[test]
fn objects_of_others_touch_nobody() {
    let mut world = world_of(1);
    let others: k8s_openapi::api::core::v1::Service = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "theirs", "namespace": "elsewhere"}, "spec": {"ports": [{"port": 80}]},
    }))
    .unwrap();
    world.index.apply(others);
    assert_eq!(world.index.take_dirty(), []);
}

#[test]
fn an_older_version_of_an_object_does_not_replace_a_newer_one() {
    let mut world = World::new(1);
    world.ready_app("hello");
    let mut old = world.api.apps[&key("hello")].clone();
    old.metadata.resource_version = Some("1".to_owned());
    old.status = None;
    world.index.apply(old);
    world.advance(30);
    assert_eq!(world.written(), []);
}

#[test]
fn the_cost_of_a_plan_does_not_grow_with_the_number_of_apps() {
    let cost = |apps: usize| {
        let mut world = world_of(apps);
        let rounds = 40;
        let start = Instant::now();
        for n in 0..rounds {
            world.plan_one(&key(&format!("app-{}", n % apps)));
        }
        start.elapsed() / rounds.try_into().unwrap()
    };
    let (few, many) = (cost(20), cost(600));
    assert!(many < few * 6, "{few:?} with 20 apps, {many:?} with 600");
}

#[test]
fn what_a_runtime_says_is_bounded() {
    let mut world = World::new(1);
    world.ready_app("hello");
    let mut report = world.runtime("node1").apps.values().next().unwrap().clone();
    report.state = crate::ReportState::Failed;
    report.serving_revision.clear();
    report.reason = "x".repeat(100_000);
    report.message = "\u{e4}".repeat(100_000);
    let uid = world.runtime("node1").pod.uid.clone();
    world.index.runtime_report(&uid, false, vec![report], &[]);
    world.advance(30);
    let status = world.status("hello");
    assert_eq!(status.nodes[0].reason.as_deref().map(str::len), Some(128));
    assert!(
        status
            .conditions
            .iter()
            .all(|condition| condition.message.chars().count() < 2048)
    );
}
