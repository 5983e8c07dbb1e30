use shoal_crds::{Interface, ReclaimPolicy, Store, StoreSpec};

use super::world::{NAMESPACE, World, component, key};

fn store(name: &str, app: &str, label: &str, id: Option<&str>) -> Store {
    let spec = StoreSpec {
        app: app.to_owned(),
        label: label.to_owned(),
        interface: Interface::KeyValue,
        class_name: "embedded".to_owned(),
        reclaim_policy: ReclaimPolicy::Retain,
        id: id.map(str::to_owned),
    };
    Store::new(name, spec)
}

fn put(world: &mut World, store: Store) {
    let now = world.now;
    let store = world.api.put_store(store, now);
    world.index.apply(store);
}

fn app_with_stores(world: &mut World, labels: &[&str]) {
    world
        .builder
        .image("hello:1", vec![component("api", labels)]);
    world.app("hello", "hello:1");
    world.advance(30);
}

fn binding(world: &mut World) -> Option<String> {
    let assigned = world.runtime("node1").assigned.values().next()?.clone();
    Some(assigned.components[0].stores.first()?.store_id.clone())
}

#[test]
fn the_label_default_gets_a_store_of_the_class_embedded_that_outlives_the_app() {
    let mut world = World::new(1);
    app_with_stores(&mut world, &["default"]);
    let made = &world.api.stores[&key("hello-default")];
    assert_eq!(made.spec.class_name, "embedded");
    assert_eq!(made.metadata.owner_references, None);
    let status = made.status.clone().unwrap();
    assert_eq!(
        (status.bound, status.used_by),
        (true, vec!["hello".to_owned()])
    );
    let entry = world.status("hello").stores[0].clone();
    assert_eq!(
        (entry.label.as_str(), entry.store.as_str()),
        ("default", "hello-default")
    );
    let id = made.spec.id.clone();

    world.delete_app("hello");
    world.advance(60);
    assert!(
        world.api.stores[&key("hello-default")]
            .status
            .clone()
            .unwrap()
            .used_by
            .is_empty()
    );
    world.app("hello", "hello:1");
    world.advance(30);
    assert_eq!(world.api.stores.len(), 1);
    assert_eq!(binding(&mut world), id, "the App made again finds its data");
}

#[test]
fn a_label_that_no_class_answers_is_named_with_its_component() {
    let mut world = World::new(1);
    app_with_stores(&mut world, &["cache"]);
    assert_eq!(world.says("hello", "StoresBound"), "False/NoStoreForLabel");
    assert_eq!(world.says("hello", "Ready"), "False/NoStoreForLabel");
    let message = world.condition("hello", "StoresBound").unwrap().message;
    assert!(
        message.contains("component `api`") && message.contains("`cache`"),
        "{message}"
    );
    assert!(world.runtime("node1").assigned.is_empty());
    put(&mut world, store("shared", "hello", "cache", None));
    world.advance(30);
    assert!(world.is_ready("hello"), "a Store made by hand answers it");
    assert!(world.api.stores[&key("shared")].spec.id.is_some());
}

#[test]
fn a_store_made_by_hand_gets_its_id_once_and_is_used_before_one_is_made() {
    let mut world = World::new(1);
    put(&mut world, store("mine", "hello", "default", None));
    app_with_stores(&mut world, &["default"]);
    assert_eq!(world.api.stores.len(), 1);
    let id = world.api.stores[&key("mine")].spec.id.clone();
    assert!(id.is_some());
    assert_eq!(binding(&mut world), id);
}

#[test]
fn the_oldest_store_of_a_label_stays_the_one_that_is_used() {
    let mut world = World::new(1);
    app_with_stores(&mut world, &["default"]);
    let id = binding(&mut world);
    put(
        &mut world,
        store(
            "aaa",
            "hello",
            "default",
            Some("00000000-0000-4000-8000-00000000aaaa"),
        ),
    );
    world.advance(30);
    assert_eq!(binding(&mut world), id);
}

#[test]
fn of_two_stores_with_one_id_the_later_is_not_used() {
    let mut world = World::new(1);
    app_with_stores(&mut world, &["default"]);
    let id = binding(&mut world).unwrap();
    world.advance(10);
    put(&mut world, store("thief", "other", "default", Some(&id)));
    world
        .builder
        .image("other:1", vec![component("", &["default"])]);
    world.app("other", "other:1");
    world.advance(30);
    assert_eq!(world.says("other", "StoresBound"), "False/StoreUnusable");
    let message = world.condition("other", "StoresBound").unwrap().message;
    assert!(
        message.contains("`thief`") && message.contains("shop/hello-default"),
        "{message}"
    );
    let status = world.api.stores[&key("thief")].status.clone().unwrap();
    assert!(!status.bound);
    assert_eq!(status.conditions[0].reason, "DuplicateId");
    assert!(world.is_ready("hello"));
    let gone = world.api.stores.remove(&key("thief")).unwrap();
    world.index.delete(&gone);
    world.advance(30);
    assert!(world.is_ready("other"));
}

#[test]
fn a_taken_name_gets_a_hash() {
    let mut world = World::new(1);
    put(
        &mut world,
        store("hello-default", "someone-else", "default", None),
    );
    app_with_stores(&mut world, &["default"]);
    assert!(world.is_ready("hello"));
    let names: Vec<String> = world
        .api
        .stores
        .keys()
        .map(|key| key.name.to_string())
        .collect();
    assert!(
        names
            .iter()
            .any(|name| name.starts_with("hello-default-") && name.len() == 22),
        "{names:?}"
    );
}

#[test]
fn no_two_apps_have_an_id_in_common_and_each_node_may_open_only_its_apps_stores() {
    let mut world = World::new(3);
    for name in ["one", "two", "three"] {
        world.ready_app(name);
    }
    for (pod, grants) in world.index.grants() {
        let assigned: Vec<_> = world.runtimes[&*pod].assigned.values().cloned().collect();
        let ids = assigned
            .iter()
            .flat_map(|a| &a.components)
            .flat_map(|c| &c.stores);
        assert_eq!(
            grants.store_ids,
            ids.map(|store| store.store_id.clone()).collect()
        );
        let digests = assigned
            .iter()
            .flat_map(|a| &a.components)
            .map(|c| c.digest.clone());
        assert_eq!(grants.digests, digests.collect());
    }
    let ids: std::collections::BTreeSet<_> = world
        .api
        .stores
        .values()
        .map(|s| s.spec.id.clone())
        .collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn a_new_image_without_a_store_for_its_label_leaves_the_old_one_serving() {
    let mut world = World::new(2);
    world.ready_app("hello");
    world
        .builder
        .image("hello:2", vec![component("", &["cache"])]);
    world.app("hello", "hello:2");
    world.advance(30);
    assert_eq!(world.says("hello", "Ready"), "False/RevisionFailed");
    assert_eq!(world.says("hello", "StoresBound"), "False/NoStoreForLabel");
    assert_eq!(world.ready_nodes("hello").len(), 2);
}

#[test]
fn nothing_is_made_in_a_namespace_that_is_going_away() {
    let mut world = World::new(1);
    let namespace: k8s_openapi::api::core::v1::Namespace =
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": NAMESPACE, "deletionTimestamp": "2026-01-01T00:00:00Z"}
        }))
        .unwrap();
    world.index.apply(namespace);
    app_with_stores(&mut world, &["default"]);
    assert!(world.api.stores.is_empty() && world.api.services.is_empty());
    world
        .index
        .reset(Vec::<k8s_openapi::api::core::v1::Namespace>::new(), &[]);
    world.label_namespace(&[]);
    world.advance(30);
    assert!(world.is_ready("hello"));
}

#[test]
fn a_runtime_opens_no_store_by_saying_that_it_has_the_app() {
    let mut world = World::new(3);
    world.ready_app("hello");
    let serving = world.ready_nodes("hello");
    let idle = ["node1", "node2", "node3"]
        .into_iter()
        .find(|node| !serving.contains(*node))
        .unwrap();
    let report = {
        let runtime = world.runtime(serving.first().unwrap());
        runtime.apps.values().next().unwrap().clone()
    };
    let uid = world.runtime(idle).pod.uid.clone();
    world.restart_unheard();
    let engine_key = "engine-1".to_owned();
    world.index.runtime_hello(&uid, crate::Hello { engine_key });
    for full in [false, true] {
        world
            .index
            .runtime_report(&uid, full, vec![report.clone()], &[]);
        assert_eq!(world.index.pod_grants(&uid), crate::PodGrants::default());
        world.settle();
        assert_eq!(world.index.pod_grants(&uid), crate::PodGrants::default());
    }
}

#[test]
fn a_store_that_the_api_server_refuses_is_said_so_and_tried_again() {
    let mut world = World::new(1);
    world
        .builder
        .image("hello:1", vec![component("", &["default"])]);
    world.api.refuse("Store", "exceeded quota");
    world.app("hello", "hello:1");
    world.advance(50);
    assert_eq!(world.says("hello", "StoresBound"), "False/StoreUnusable");
    assert_eq!(world.says("hello", "Ready"), "False/StoreUnusable");
    assert_eq!(world.says("hello", "Stalled"), "absent");
    let message = world.condition("hello", "Ready").unwrap().message;
    assert!(message.contains("exceeded quota"), "{message}");
    world.api.refusing.clear();
    world.advance(120);
    assert!(world.is_ready("hello"), "{:#?}", world.status("hello"));
}

#[test]
fn a_database_has_a_store_of_its_own_beside_the_key_value_store_of_the_same_label() {
    let mut world = World::new(1);
    let mut component = component("api", &["default"]);
    let database = (Interface::Sql, "default".to_owned());
    component.labels.push(database);
    world.builder.image("hello:1", vec![component]);
    world.app("hello", "hello:1");
    world.advance(30);
    let made = &world.api.stores[&key("hello-default-sql")];
    assert_eq!(
        (made.spec.interface, made.spec.class_name.as_str()),
        (Interface::Sql, "embedded")
    );
    let assigned = world.runtime("node1").assigned.values().next().unwrap();
    let stores = &assigned.components[0].stores;
    let bound: Vec<_> = stores
        .iter()
        .map(|store| (store.interface.as_str(), store.label.as_str()))
        .collect();
    assert_eq!(bound, [("KeyValue", "default"), ("Sql", "default")]);
    assert_ne!(stores[0].store_id, stores[1].store_id);
    let entries = world.status("hello").stores;
    let names: Vec<_> = entries.iter().map(|entry| entry.store.as_str()).collect();
    assert_eq!(names, ["hello-default", "hello-default-sql"]);
}

#[test]
fn objects_go_where_somebody_chose_and_the_app_is_told_until_then() {
    let mut world = World::new(1);
    let mut component = component("api", &[]);
    component
        .labels
        .push((Interface::Blob, "default".to_owned()));
    world.builder.image("hello:1", vec![component]);
    world.app("hello", "hello:1");
    world.advance(30);
    assert_eq!(world.says("hello", "StoresBound"), "False/NoStoreForLabel");
    let message = world.condition("hello", "StoresBound").unwrap().message;
    assert!(message.contains("interface: Blob"), "{message}");

    world.edit("hello", |app| {
        app.spec.stores = Some(vec![shoal_crds::AppStore {
            label: "default".to_owned(),
            interface: Interface::Blob,
            class: Some("embedded".to_owned()),
            ..Default::default()
        }]);
    });
    world.advance(60);
    let made = &world.api.stores[&key("hello-default-blob")];
    assert_eq!(
        (made.spec.interface, made.spec.class_name.as_str()),
        (Interface::Blob, "embedded")
    );
    assert!(world.is_ready("hello"), "{:#?}", world.status("hello"));
}
