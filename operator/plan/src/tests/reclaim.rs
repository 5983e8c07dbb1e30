//! What becomes of data when its App, or its Store, is deleted.

use jiff::SignedDuration;
use shoal_crds::{DATA_FINALIZER, ReclaimPolicy, Store};

use super::world::{World, component, key, postgres};
use crate::WriteAction;

const HOUR: i64 = 3600;

/// A world with the App `hello`, whose Store is of `policy`.
fn world(policy: ReclaimPolicy) -> World {
    let mut world = World::new(1);
    world.ready_app("hello");
    set_policy(&mut world, policy);
    world.advance(10);
    world.written();
    world
}

fn set_policy(world: &mut World, policy: ReclaimPolicy) {
    let mut store = world.api.stores[&key("hello-default")].clone();
    store.spec.reclaim_policy = policy;
    let (store, now) = (store, world.now);
    let store = world.api.put_store(store, now);
    world.index.apply(store);
}

fn store(world: &World) -> Option<&Store> {
    world.api.stores.get(&key("hello-default"))
}

fn delete_at(world: &World) -> Option<String> {
    store(world)?.status.as_ref()?.delete_at.clone()
}

/// `AppDeleted`
fn deleting(world: &World) -> Option<String> {
    let status = store(world)?.status.as_ref()?;
    let mut conditions = status.conditions.iter();
    Some(
        conditions
            .find(|one| one.type_ == "Deleting")?
            .reason
            .clone(),
    )
}

fn id(world: &World) -> String {
    store(world).unwrap().spec.id.clone().unwrap()
}

fn is_to_be_purged(world: &World, id: &str) -> bool {
    world.index.store_duty(id).is_some_and(|duty| duty.purge)
}

#[test]
fn data_that_is_to_go_with_its_app_goes_after_the_grace_and_then_the_store() {
    let mut world = world(ReclaimPolicy::Delete);
    let id = id(&world);
    let held = store(&world).unwrap().metadata.finalizers.clone();
    assert_eq!(held, Some(vec![DATA_FINALIZER.to_owned()]));
    world.delete_app("hello");
    world.advance(10);
    assert_eq!(deleting(&world).as_deref(), Some("AppDeleted"));
    let at = delete_at(&world).unwrap();
    world.advance(23 * HOUR);
    assert_eq!(delete_at(&world), Some(at), "it does not move");
    assert!(!is_to_be_purged(&world, &id));

    world.advance(HOUR);
    assert!(is_to_be_purged(&world, &id));
    assert_eq!(deleting(&world).as_deref(), Some("Purging"));
    world.index.store_purged(&id, Some("it is away".to_owned()));
    world.settle();
    assert_eq!(deleting(&world).as_deref(), Some("PurgeFailed"));
    world.index.store_purged(&id, None);
    world.settle();
    assert_eq!(store(&world), None);
    assert!(world.index.take_changed_duties().contains(&id));
    assert_eq!(world.index.store_duty(&id), None);
}

#[test]
fn retain_that_is_set_while_data_is_removed_stops_that() {
    let mut world = world(ReclaimPolicy::Delete);
    let id = id(&world);
    world.delete_app("hello");
    world.advance(25 * HOUR);
    assert!(is_to_be_purged(&world, &id));
    world.index.store_purged(&id, Some("it is away".to_owned()));
    world.settle();
    world.index.take_changed_duties();
    let mut store = store(&world).unwrap().clone();
    store.spec.reclaim_policy = ReclaimPolicy::Retain;
    let now = world.now;
    let store = world.api.put_store(store, now);
    world.index.apply(store);
    let _ = crate::plan(&mut world.index, &key("hello"), world.now);
    assert!(!is_to_be_purged(&world, &id));
    assert!(world.index.take_changed_duties().contains(&id));
}

#[test]
fn an_app_that_is_made_again_before_keeps_its_data() {
    let mut world = world(ReclaimPolicy::Delete);
    let id_before = id(&world);
    world.delete_app("hello");
    world.advance(23 * HOUR);
    world.app("hello", "hello");
    world.advance(48 * HOUR);
    assert!(world.is_ready("hello"));
    assert_eq!((delete_at(&world), deleting(&world)), (None, None));
    assert_eq!(id(&world), id_before);
}

#[test]
fn one_that_is_made_again_after_that_gets_a_new_store() {
    let mut world = world(ReclaimPolicy::Delete);
    let id_before = id(&world);
    world.delete_app("hello");
    world.advance(25 * HOUR);
    assert!(is_to_be_purged(&world, &id_before));
    world.app("hello", "hello");
    world.advance(60);
    assert!(world.is_ready("hello"));
    assert!(is_to_be_purged(&world, &id_before));
    let assigned = world.runtime("node1").assigned.values().next().unwrap();
    assert_ne!(assigned.components[0].stores[0].store_id, id_before);
}

#[test]
fn the_time_outlives_a_restart_and_the_removal_too() {
    let mut world = world(ReclaimPolicy::Delete);
    let id = id(&world);
    world
        .index
        .set_store_delete_grace(SignedDuration::from_mins(5));
    world.delete_app("hello");
    world.advance(10);
    let at = delete_at(&world);
    world.written();
    world.restart();
    assert_eq!(delete_at(&world), at);
    assert_eq!(world.written(), []);
    world.advance(300);
    assert!(is_to_be_purged(&world, &id));
    world.restart();
    assert!(is_to_be_purged(&world, &id));
    world.index.store_purged(&id, None);
    world.settle();
    assert_eq!(store(&world), None);
}

#[test]
fn an_app_that_is_only_missing_in_a_list_was_not_deleted() {
    let mut world = world(ReclaimPolicy::Delete);
    let app = world.api.apps.remove(&key("hello")).unwrap();
    world.index.reset(Vec::<shoal_crds::App>::new(), &[]);
    world.advance(48 * HOUR);
    assert_eq!(deleting(&world), None);
    world.restart();
    world.advance(48 * HOUR);
    assert_eq!((delete_at(&world), deleting(&world)), (None, None));
    drop(app);
}

#[test]
fn a_deletion_that_a_standby_saw_counts_when_it_leads() {
    let mut world = world(ReclaimPolicy::Delete);
    world.index.resign();
    world.delete_app("hello");
    let record = world.record.clone();
    world.index.lead(&record, world.now);
    world.advance(10);
    assert_eq!(deleting(&world).as_deref(), Some("AppDeleted"));
}

#[test]
fn data_that_is_to_stay_stays_whatever_is_deleted() {
    let mut world = world(ReclaimPolicy::Retain);
    let id = id(&world);
    world.delete_app("hello");
    world.advance(48 * HOUR);
    assert_eq!((delete_at(&world), deleting(&world)), (None, None));
    let now = world.now;
    world
        .api
        .delete_store(&key("hello-default"), now, &mut world.index);
    world.settle();
    assert_eq!(store(&world), None);
    assert!(world.index.take_changed_duties().contains(&id));
    assert_eq!(world.index.store_duty(&id), None);
}

#[test]
fn whoever_changes_the_policy_in_time_keeps_the_data() {
    let mut world = world(ReclaimPolicy::Delete);
    world.delete_app("hello");
    world.advance(HOUR);
    set_policy(&mut world, ReclaimPolicy::Retain);
    world.advance(48 * HOUR);
    assert_eq!((delete_at(&world), deleting(&world)), (None, None));
    let finalizers = store(&world).unwrap().metadata.finalizers.clone();
    assert_eq!(finalizers.unwrap_or_default(), Vec::<String>::new());
}

#[test]
fn a_store_that_another_app_uses_waits_for_it() {
    let mut world = world(ReclaimPolicy::Delete);
    let id = id(&world);
    world
        .builder
        .image("other", vec![component("", &["default"])]);
    world.app("other", "other");
    let shared = serde_json::json!([{"label": "default", "store": "hello-default"}]);
    world.edit("other", |app| {
        app.spec.stores = serde_json::from_value(shared).unwrap();
    });
    world.advance(30);
    assert!(world.is_ready("other"));
    world.delete_app("hello");
    world.advance(48 * HOUR);
    assert_eq!(deleting(&world), None);
    world.delete_app("other");
    world.advance(10);
    assert_eq!(deleting(&world).as_deref(), Some("AppDeleted"));
    world.advance(25 * HOUR);
    assert!(is_to_be_purged(&world, &id));
}

#[test]
fn a_store_that_is_deleted_by_hand_takes_its_data_along_once_no_app_uses_it() {
    let mut world = world(ReclaimPolicy::Delete);
    let id_before = id(&world);
    let now = world.now;
    world
        .api
        .delete_store(&key("hello-default"), now, &mut world.index);
    world.advance(30);
    assert!(world.is_ready("hello"), "it has another Store");
    assert!(is_to_be_purged(&world, &id_before));
    world.index.store_purged(&id_before, None);
    world.settle();
    assert_eq!(store(&world), None);
}

#[test]
fn a_store_with_the_id_of_another_removes_nothing() {
    let mut world = world(ReclaimPolicy::Delete);
    let mut copy = store(&world).unwrap().clone();
    copy.metadata.name = Some("copy".to_owned());
    copy.metadata.uid = None;
    copy.metadata.creation_timestamp = None;
    world.advance(10);
    let now = world.now;
    let copy = world.api.put_store(copy, now);
    world.index.apply(copy);
    world.settle();
    world.api.delete_store(&key("copy"), now, &mut world.index);
    world.settle();
    assert!(!world.api.stores.contains_key(&key("copy")));
    let id = id(&world);
    assert!(!is_to_be_purged(&world, &id));
}

#[test]
fn a_new_store_has_the_policy_of_its_class() {
    let mut world = World::new(1);
    let class = serde_json::json!({
        "apiVersion": "shoal.dev/v1alpha1", "kind": "StoreClass", "metadata": {"name": "gone"},
        "spec": {"backend": {"memory": {}}, "default": true, "reclaimPolicy": "Delete"},
    });
    let now = world.now;
    let class = world
        .api
        .put_class(serde_json::from_value(class).unwrap(), now);
    world.index.apply(class);
    world
        .builder
        .image("hello", vec![component("", &["default"])]);
    world.app("hello", "hello");
    world.advance(30);
    let made = store(&world).unwrap();
    assert_eq!(made.spec.reclaim_policy, ReclaimPolicy::Delete);
    let held = Some(vec![DATA_FINALIZER.to_owned()]);
    assert_eq!(made.metadata.finalizers, held);
    assert!(world.writes.iter().any(|write| {
        matches!(write, WriteAction::CreateStore(store) if store.metadata.finalizers == held)
    }));
    let later = |write: &WriteAction| matches!(write, WriteAction::HoldStore { .. });
    assert!(!world.writes.iter().any(later), "it is held from the start");
}

#[test]
fn one_that_is_made_by_hand_is_held_from_when_it_has_an_id() {
    let mut world = World::new(1);
    let made = serde_json::json!({
        "apiVersion": "shoal.dev/v1alpha1", "kind": "Store",
        "metadata": {"name": "hello-default", "finalizers": ["example.com/theirs"]},
        "spec": {"app": "hello", "label": "default", "className": "embedded", "reclaimPolicy": "Delete"},
    });
    let now = world.now;
    let made = world
        .api
        .put_store(serde_json::from_value(made).unwrap(), now);
    world.index.apply(made);
    world
        .builder
        .image("hello", vec![component("", &["default"])]);
    world.app("hello", "hello");
    world.advance(30);
    assert!(world.is_ready("hello"));
    let all = ["example.com/theirs", DATA_FINALIZER].map(str::to_owned);
    assert_eq!(
        store(&world).unwrap().metadata.finalizers,
        Some(all.to_vec())
    );
    let later = |write: &WriteAction| matches!(write, WriteAction::HoldStore { .. });
    assert!(!world.writes.iter().any(later), "nothing goes between");

    let id = id(&world);
    world
        .api
        .delete_store(&key("hello-default"), now, &mut world.index);
    world.advance(30);
    world.index.store_purged(&id, None);
    world.settle();
    let left = store(&world).unwrap().metadata.finalizers.clone();
    assert_eq!(left, Some(vec!["example.com/theirs".to_owned()]));
}

#[test]
fn data_waits_for_a_node_that_still_ends_requests_of_the_app() {
    let mut world = world(ReclaimPolicy::Delete);
    let id = id(&world);
    let node = world.ready_nodes("hello").pop_first().unwrap();
    let runtime = world.runtime(&node);
    runtime.alive = false;
    let (pod, app) = (
        runtime.pod.uid.clone(),
        runtime.apps.keys().next().unwrap().clone(),
    );
    world.delete_app("hello");
    let now = world.now;
    world
        .api
        .delete_store(&key("hello-default"), now, &mut world.index);
    world.advance(60);
    assert!(!is_to_be_purged(&world, &id));
    assert_eq!(deleting(&world).as_deref(), Some("StillUsed"));
    world.index.runtime_report(&pod, false, Vec::new(), &[app]);
    world.settle();
    assert!(is_to_be_purged(&world, &id));
}

#[test]
fn the_store_pod_knows_which_stores_in_databases_a_pod_may_have_open() {
    let mut world = World::new(1);
    world.class("pg", postgres("default: true, reclaimPolicy: Delete"));
    world.ready_app("hello");
    let id = id(&world);
    world
        .builder
        .image("other", vec![component("", &["default"])]);
    world.app("other", "other");
    let shared = serde_json::json!([{"label": "default", "store": "hello-default"}]);
    world.edit("other", |app| {
        app.spec.stores = serde_json::from_value(shared).unwrap();
    });
    world.advance(30);
    world.delete_app("hello");
    let now = world.now;
    world
        .api
        .delete_store(&key("hello-default"), now, &mut world.index);
    world.advance(30);
    let pod = world.runtime("node1").pod.uid.clone();
    let grants = world.index.pod_grants(&pod);
    assert!(grants.store_ids.is_empty(), "{grants:?}");
    assert!(
        grants.held_store_ids.contains(&id),
        "`other` goes on with it: {grants:?}"
    );
}
