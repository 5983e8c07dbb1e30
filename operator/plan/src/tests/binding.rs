//! Which Store, of which class, each label gets: one row a case.

mod table;

use shoal_crds::{AppStore, Store, StoreClass, StoreClassSpec};

use super::world::{NAMESPACE, World, component, key, memory, postgres};
use crate::ObjectKey;
use table::{Case, table};

pub(super) use table::{OTHERS, OWN};

pub(super) fn spec(name: &str, yaml: &str) -> StoreClassSpec {
    if yaml.contains("backend:") {
        return shoal_crds::yaml::from_str(&format!("{{{yaml}}}")).unwrap();
    }
    if name == "embedded" {
        return shoal_crds::yaml::from_str(&format!("{{backend: {{embedded: {{}}}}, {yaml}}}"))
            .unwrap();
    }
    if name == "pg" {
        postgres(yaml)
    } else {
        memory(yaml)
    }
}

fn put_store(world: &mut World, name: &str, yaml: &str) {
    let store = Store::new(name, shoal_crds::yaml::from_str(yaml).unwrap());
    let store = world.api.put_store(store, world.now);
    world.index.apply(store);
}

fn asks(yaml: &str) -> Option<Vec<AppStore>> {
    (!yaml.is_empty()).then(|| shoal_crds::yaml::from_str(yaml).unwrap())
}

fn set(case: &Case) -> World {
    let mut world = World::new(1);
    world.label_namespace(case.namespace);
    for (name, yaml) in case.classes {
        world.class(name, spec(name, yaml));
    }
    for (name, yaml) in case.stores {
        put_store(&mut world, name, yaml);
    }
    let mut opening = component("api", &[]);
    opening.labels.push((case.interface, case.label.to_owned()));
    world.builder.image("hello:1", vec![opening]);
    world.edit("hello", |app| {
        app.spec.image = Some("hello:1".to_owned());
        app.spec.stores = asks(case.asks);
    });
    world.advance(30);
    for (name, yaml) in case.later {
        world.class(name, spec(name, yaml));
    }
    world.advance(30);
    world
}

#[test]
fn every_case_of_a_label() {
    for case in table() {
        let mut world = set(&case);
        assert_eq!(
            world.says("hello", "StoresBound"),
            case.says,
            "{}",
            case.name
        );
        let message = world.condition("hello", "StoresBound").unwrap().message;
        for name in case.names {
            assert!(message.contains(name), "{}: {message}", case.name);
        }
        let stores = world.status("hello").stores;
        let found = stores
            .iter()
            .find(|one| one.label == case.label)
            .map(|one| (one.store.as_str(), one.class_name.as_str()));
        assert_eq!(found, case.bound, "{}", case.name);
        assert_eq!(
            world.is_ready("hello"),
            case.bound.is_some(),
            "{}",
            case.name
        );
        if case.bound.is_none() {
            let ids = world
                .api
                .stores
                .values()
                .filter(|one| one.spec.id.is_some());
            assert_eq!(ids.count(), 0, "{}: nothing may be opened", case.name);
        }
        world.written();
        world.restart();
        world.advance(90);
        assert_eq!(world.written(), [], "{}: a restart", case.name);
    }
}

#[test]
fn who_chose_a_class_is_not_told_of_another_default() {
    type Stores = &'static [(&'static str, &'static str)];
    const MADE_HERE: Stores = &[];
    const MINE: Stores = &[("mine", "{app: hello, label: default, className: embedded}")];
    // As the one that would be made here is called.
    const NAMED_ALIKE: Stores = &[(
        "hello-default",
        "{app: hello, label: default, className: embedded}",
    )];
    for (asks, stores) in [
        ("[{label: default, class: embedded}]", MADE_HERE),
        ("", MINE),
        ("", NAMED_ALIKE),
        ("[{label: default, store: mine}]", MINE),
    ] {
        let world = set(&Case {
            classes: &[("pg", "default: true")],
            stores,
            asks,
            label: "default",
            ..Case::default()
        });
        assert_eq!(world.status("hello").stores[0].class_name, "embedded");
        assert_eq!(world.says("hello", "StoresBound"), "True/Bound");
        let message = world.condition("hello", "StoresBound").unwrap().message;
        assert!(!message.contains("`pg`"), "{asks} {stores:?}: {message}");
    }
}

#[test]
fn a_tie_ends_when_one_class_gives_way() {
    let mut world = World::new(1);
    world.class("x", memory("default: true"));
    world.class("y", memory("default: true"));
    world
        .builder
        .image("hello:1", vec![component("api", &["default"])]);
    world.app("hello", "hello:1");
    world.advance(30);
    assert_eq!(world.says("hello", "StoresBound"), "False/AmbiguousDefault");
    for (name, other) in [("x", "`y`"), ("y", "`x`")] {
        assert_eq!(world.class_says(name, "Conflict"), "True/AmbiguousDefault");
        let message = world.class_condition(name, "Conflict").unwrap().message;
        assert!(
            message.contains(other) && message.contains("`default`"),
            "{message}"
        );
    }
    world.class("y", memory("default: false"));
    world.advance(30);
    assert!(world.is_ready("hello"));
    assert_eq!(world.status("hello").stores[0].class_name, "x");
    assert_eq!(world.class_says("x", "Conflict"), "absent");
}

#[test]
fn classes_for_namespaces_are_in_conflict_where_one_namespace_is_of_both() {
    let mut world = World::new(1);
    world.class(
        "x",
        memory("default: true, namespaceSelector: {matchLabels: {team: a}}"),
    );
    world.class(
        "y",
        memory("default: true, namespaceSelector: {matchLabels: {tier: gold}}"),
    );
    world.label_namespace(&[("team", "a")]);
    world.settle();
    assert_eq!(world.class_says("x", "Conflict"), "absent");
    world.label_namespace(&[("team", "a"), ("tier", "gold")]);
    world.settle();
    for class in ["x", "y"] {
        let message = world.class_condition(class, "Conflict").unwrap().message;
        assert!(message.contains("namespace `shop`"), "{message}");
    }
}

#[test]
fn nothing_is_bound_before_the_labels_of_its_namespace_are_known() {
    let mut world = World::new(1);
    let namespace = world.api.namespaces[NAMESPACE].clone();
    world.index.delete(&namespace);
    world.class("x", memory("default: true"));
    let of_a = "default: true, namespaceSelector: {matchLabels: {team: a}}";
    world.class("y", memory(of_a));
    world
        .builder
        .image("hello:1", vec![component("api", &["default"])]);
    world.app("hello", "hello:1");
    put_store(
        &mut world,
        "made",
        "{app: other, label: default, className: y}",
    );
    world.advance(30);
    assert!(world.status("hello").stores.is_empty());
    assert_eq!(world.says("hello", "StoresBound"), "Unknown/Progressing");
    world.label_namespace(&[("team", "a")]);
    world.advance(30);
    assert!(world.is_ready("hello"));
    assert_eq!(world.status("hello").stores[0].class_name, "y");
}

#[test]
fn nobody_is_bound_by_default_while_a_class_cannot_be_read() {
    let mut world = World::new(1);
    let later = StoreClass::new("later", memory("default: true"));
    let name = ObjectKey::cluster_wide("later");
    world.index.leave::<StoreClass>(&name, "uid");
    world
        .builder
        .image("hello:1", vec![component("api", &["default"])]);
    world.app("hello", "hello:1");
    world.advance(30);
    assert_eq!(world.says("hello", "StoresBound"), "False/StoreUnusable");
    let message = world.condition("hello", "StoresBound").unwrap().message;
    assert!(message.contains("`later`"), "{message}");
    world.class("later", later.spec);
    world.advance(30);
    assert_eq!(world.status("hello").stores[0].class_name, "later");
}

#[test]
fn a_class_that_comes_later_binds_who_waits_for_it() {
    let mut world = World::new(1);
    world
        .builder
        .image("hello:1", vec![component("api", &["default"])]);
    world.edit("hello", |app| {
        app.spec.image = Some("hello:1".to_owned());
        app.spec.stores = asks("[{label: default, class: pg}]");
    });
    world.advance(30);
    assert_eq!(
        world.says("hello", "StoresBound"),
        "False/StoreClassNotFound"
    );
    world.class("pg", postgres(""));
    world.advance(30);
    assert!(world.is_ready("hello"));
}

#[test]
fn a_label_that_only_the_app_names_is_open_to_its_components() {
    let mut world = World::new(1);
    world
        .builder
        .image("hello:1", vec![component("api", &["default"])]);
    world.edit("hello", |app| {
        app.spec.image = Some("hello:1".to_owned());
        app.spec.stores = asks("[{label: cache, class: embedded}]");
    });
    world.advance(30);
    assert!(world.is_ready("hello"));
    let assigned = world
        .runtime("node1")
        .assigned
        .values()
        .next()
        .unwrap()
        .clone();
    let labels: Vec<&str> = assigned.components[0]
        .stores
        .iter()
        .map(|store| store.label.as_str())
        .collect();
    assert_eq!(labels, ["cache", "default"]);
}

#[test]
fn two_apps_share_a_store_and_both_are_named_as_its_users() {
    let mut world = World::new(1);
    world.ready_app("hello");
    world
        .builder
        .image("canary", vec![component("", &["default"])]);
    world.edit("canary", |app| {
        app.spec.image = Some("canary".to_owned());
        app.spec.stores = asks("[{label: default, store: hello-default}]");
    });
    world.advance(30);
    assert!(world.is_ready("canary"));
    assert_eq!(world.api.stores.len(), 1);
    let users = |world: &World| {
        let status = world.api.stores[&key("hello-default")].status.clone();
        status.unwrap().used_by
    };
    assert_eq!(users(&world), ["canary", "hello"]);
    let uid = world.runtime("node1").pod.uid.clone();
    assert_eq!(world.index.pod_grants(&uid).store_ids.len(), 1);
    world.written();
    world.restart();
    world.advance(90);
    assert_eq!(world.written(), []);

    world.delete_app("hello");
    world.advance(60);
    assert!(world.is_ready("canary"), "the Store outlives its App");
    assert_eq!(users(&world), ["canary"]);
    world.edit("canary", |app| app.spec.stores = None);
    world.advance(30);
    assert_eq!(users(&world), Vec::<String>::new());
    assert_eq!(world.status("canary").stores[0].store, "canary-default");
}

#[test]
fn a_class_that_limits_operations_says_how_many_nodes_share_them() {
    let mut world = World::new(3);
    world.class("pg", postgres("default: true, limits: {opsPerSecond: 100}"));
    world.ready_app("hello");
    let nodes = |world: &World| -> Vec<u32> {
        let assigned = world
            .runtimes
            .values()
            .flat_map(|one| one.assigned.values());
        let mut nodes: Vec<u32> = assigned
            .map(|one| one.components[0].stores[0].nodes)
            .collect();
        nodes.dedup();
        nodes
    };
    assert_eq!(nodes(&world), [2]);
    world.edit("hello", |app| app.spec.replicas = 3);
    world.advance(30);
    assert_eq!(nodes(&world), [3]);
    assert!(world.is_ready("hello"));
    world
        .builder
        .image("canary", vec![component("", &["default"])]);
    world.edit("hello", |app| app.spec.replicas = 1);
    world.edit("canary", |app| {
        app.spec.image = Some("canary".to_owned());
        app.spec.replicas = 3;
        app.spec.stores = asks("[{label: default, store: hello-default}]");
    });
    world.advance(60);
    assert_eq!(nodes(&world), [3], "nodes of both Apps, each once");
    world.class("pg", postgres("default: true"));
    world.advance(30);
    assert_eq!(nodes(&world), [0]);
}
