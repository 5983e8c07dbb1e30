//! Which Store, of which class, each label gets: one row a case.

use std::collections::BTreeMap;

use proptest::prelude::*;
use shoal_crds::{AppStore, Store, StoreClassSpec};

use super::world::{World, component, key, memory, postgres};

/// What there is when the App `hello`, which opens `label`, is applied.
#[derive(Default)]
struct Case {
    name: &'static str,
    classes: &'static [(&'static str, &'static str)],
    namespace: &'static [(&'static str, &'static str)],
    /// Name and spec, without `id`, of Stores that were made by hand.
    stores: &'static [(&'static str, &'static str)],
    /// `spec.stores`
    asks: &'static str,
    label: &'static str,
    /// Of `StoresBound`.
    says: &'static str,
    /// Store and class, if it is bound.
    bound: Option<(&'static str, &'static str)>,
    /// What the message names.
    names: &'static [&'static str],
}

const OWN: &str = "default: true, namespaceSelector: {matchLabels: {team: a}}";
const OTHERS: &str = "default: true, namespaceSelector: {matchLabels: {team: b}}";

fn table() -> Vec<Case> {
    let bound = |name, classes, label, bound| Case {
        name,
        classes,
        label,
        namespace: &[("team", "a")],
        says: "True/Bound",
        bound: Some(bound),
        ..Case::default()
    };
    let fails = |name, classes, label, says, names| Case {
        name,
        classes,
        label,
        namespace: &[("team", "a")],
        says,
        names,
        ..Case::default()
    };
    vec![
        bound(
            "nothing is declared",
            &[],
            "default",
            ("hello-default", "embedded"),
        ),
        bound(
            "a class that is no default",
            &[("pg", "")],
            "default",
            ("hello-default", "embedded"),
        ),
        bound(
            "the one default",
            &[("pg", "default: true")],
            "default",
            ("hello-default", "pg"),
        ),
        bound(
            "a default for another label",
            &[("pg", "default: true, labels: [cache]")],
            "default",
            ("hello-default", "embedded"),
        ),
        bound(
            "a default that names the label",
            &[("pg", "default: true, labels: [cache]")],
            "cache",
            ("hello-cache", "pg"),
        ),
        bound(
            "a default for any label",
            &[("pg", "default: true, labels: ['*']")],
            "cache",
            ("hello-cache", "pg"),
        ),
        bound(
            "the namespace's own default before the general one",
            &[("all", "default: true"), ("own", OWN)],
            "default",
            ("hello-default", "own"),
        ),
        bound(
            "another namespace's default does not count",
            &[("all", "default: true"), ("other", OTHERS)],
            "default",
            ("hello-default", "all"),
        ),
        bound(
            "one that names the label before one for any",
            &[
                ("any", "default: true, labels: ['*']"),
                ("one", "default: true, labels: [cache]"),
            ],
            "cache",
            ("hello-cache", "one"),
        ),
        fails(
            "no class answers",
            &[],
            "cache",
            "False/NoStoreForLabel",
            &["`cache`", "component `api`"],
        ),
        fails(
            "a tie",
            &[("x", "default: true"), ("y", "default: true")],
            "default",
            "False/AmbiguousDefault",
            &["`x`, `y`", "`default`", "component `api`"],
        ),
        fails(
            "what is built in is kept from a namespace",
            &[("embedded", "namespaceSelector: {matchLabels: {team: b}}")],
            "default",
            "False/NoStoreForLabel",
            &["`default`"],
        ),
        Case {
            asks: "[{label: default, class: pg}]",
            ..bound(
                "the App names a class",
                &[("pg", ""), ("other", "default: true")],
                "default",
                ("hello-default", "pg"),
            )
        },
        Case {
            asks: "[{label: default, class: embedded}]",
            ..bound(
                "the App names what is built in",
                &[("other", "default: true")],
                "default",
                ("hello-default", "embedded"),
            )
        },
        Case {
            asks: "[{label: default, class: x}]",
            ..bound(
                "the App decides a tie",
                &[("x", "default: true"), ("y", "default: true")],
                "default",
                ("hello-default", "x"),
            )
        },
        Case {
            asks: "[{label: default, class: gone}]",
            ..fails(
                "a class that is not there",
                &[],
                "default",
                "False/StoreClassNotFound",
                &["`gone`"],
            )
        },
        Case {
            asks: "[{label: default, class: other}]",
            ..fails(
                "a class that is not for the namespace",
                &[("other", OTHERS)],
                "default",
                "False/StoreClassNotAllowed",
                &["`other`", "`shop`"],
            )
        },
        Case {
            asks: "[{label: default, store: theirs}]",
            stores: &[("theirs", "{app: someone, label: data, className: pg}")],
            ..bound(
                "the App names another App's Store",
                &[("pg", "")],
                "default",
                ("theirs", "pg"),
            )
        },
        Case {
            asks: "[{label: default, store: gone}]",
            ..fails(
                "a Store that is not there",
                &[],
                "default",
                "False/StoreNotFound",
                &["`gone`", "`shop`"],
            )
        },
        Case {
            stores: &[("mine", "{app: hello, label: default, className: pg}")],
            ..bound(
                "a Store made by hand chooses its class",
                &[("pg", ""), ("other", "default: true")],
                "default",
                ("mine", "pg"),
            )
        },
        Case {
            stores: &[("mine", "{app: hello, label: default, className: gone}")],
            ..fails(
                "a Store made by hand of a class that is not there",
                &[],
                "default",
                "False/StoreClassNotFound",
                &["`mine`", "`gone`"],
            )
        },
        Case {
            stores: &[("mine", "{app: hello, label: default, className: other}")],
            ..fails(
                "a Store made by hand of a class that is not for the namespace",
                &[("other", OTHERS)],
                "default",
                "False/StoreClassNotAllowed",
                &["`mine`", "`other`", "`shop`"],
            )
        },
        Case {
            asks: "[{label: default, class: pg}]",
            stores: &[("mine", "{app: hello, label: default}")],
            ..fails(
                "the App names a class and the data is in another",
                &[("pg", "")],
                "default",
                "False/StoreMismatch",
                &["`mine`", "`embedded`", "`pg`"],
            )
        },
    ]
}

fn spec(name: &str, yaml: &str) -> StoreClassSpec {
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
    world
        .builder
        .image("hello:1", vec![component("api", &[case.label])]);
    world.edit("hello", |app| {
        app.spec.image = Some("hello:1".to_owned());
        app.spec.stores = asks(case.asks);
    });
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
fn a_new_default_changes_nothing_for_who_is_bound_and_is_told() {
    let mut world = World::new(1);
    world.ready_app("hello");
    let before = world.runtime("node1").assigned.clone();
    world.class("pg", postgres("default: true"));
    world.advance(30);
    assert!(world.is_ready("hello"));
    assert_eq!(world.runtime("node1").assigned, before);
    assert_eq!(world.says("hello", "StoresBound"), "True/Bound");
    let message = world.condition("hello", "StoresBound").unwrap().message;
    for name in [
        "`hello-default`",
        "`embedded`",
        "`pg`",
        "`spec.stores`",
        "`kubectl shoal stores export` and `import`",
        "docs/how-to/move-to-postgres.md",
    ] {
        assert!(message.contains(name), "{message}");
    }
    world.delete_class("pg");
    world.advance(30);
    let message = world.condition("hello", "StoresBound").unwrap().message;
    assert!(!message.contains("`pg`"), "{message}");
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
fn who_is_bound_stays_so_when_the_class_is_not_for_its_namespace_any_more() {
    let mut world = World::new(1);
    world.class("pg", postgres("default: true"));
    world.ready_app("hello");
    world.class("pg", postgres(OTHERS));
    world.advance(30);
    assert!(world.is_ready("hello"));
    assert_eq!(world.says("hello", "StoresBound"), "True/Bound");
    world.ready_app("later");
    assert_eq!(world.status("later").stores[0].class_name, "embedded");
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

#[derive(Clone, Debug)]
enum Change {
    Class(u8, u8),
    Delete(u8),
    Label(bool),
    Health(u8, bool),
    Restart,
}

const NAMES: [&str; 4] = ["a", "b", "pg", "embedded"];
const SPECS: [&str; 6] = [
    "",
    "default: true",
    "default: true, labels: ['*']",
    "default: true, labels: [cache, default]",
    OWN,
    OTHERS,
];

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => (0..4_u8, 0..6_u8).prop_map(|(name, spec)| Change::Class(name, spec)),
        2 => (0..4_u8).prop_map(Change::Delete),
        2 => any::<bool>().prop_map(Change::Label),
        1 => (0..4_u8, any::<bool>()).prop_map(|(class, up)| Change::Health(class, up)),
        1 => Just(Change::Restart),
    ]
}

fn make(world: &mut World, change: &Change) {
    match change {
        Change::Class(name, yaml) => {
            let name = NAMES[usize::from(*name)];
            let deleting = world
                .api
                .classes
                .get(name)
                .is_some_and(|class| class.metadata.deletion_timestamp.is_some());
            if !deleting {
                world.class(name, spec(name, SPECS[usize::from(*yaml)]));
            }
        }
        Change::Delete(name) => {
            let name = NAMES[usize::from(*name)];
            if world.api.classes.contains_key(name) {
                world.delete_class(name);
            }
        }
        Change::Label(is_a) => {
            world.label_namespace(&[("team", if *is_a { "a" } else { "b" })]);
        }
        Change::Health(class, up) => {
            world.health("node1", &[(NAMES[usize::from(*class)], *up)]);
        }
        Change::Restart => world.restart(),
    }
    world.settle();
}

/// Label, Store, id and class of everything that is bound.
fn bound(world: &World) -> BTreeMap<(String, String), (String, Option<String>, String)> {
    let mut all = BTreeMap::new();
    for app in ["one", "two"] {
        for entry in world.status(app).stores {
            let id = world.api.stores[&key(&entry.store)].spec.id.clone();
            let found = (entry.store, id, entry.class_name);
            all.insert((app.to_owned(), entry.label), found);
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_bound_stays_bound_whatever_becomes_of_the_classes(
        changes in prop::collection::vec(change(), 1..20),
    ) {
        let mut world = World::new(1);
        world.builder.image("one", vec![component("", &["default"])]);
        world.builder.image("two", vec![component("", &["default", "cache"])]);
        world.app("one", "one");
        world.app("two", "two");
        world.advance(30);
        let mut known = bound(&world);
        for change in &changes {
            make(&mut world, change);
            world.advance(15);
            let now = bound(&world);
            for (label, before) in &known {
                prop_assert_eq!(now.get(label), Some(before), "{:?}", change);
            }
            let one = world.says("one", "StoresBound");
            prop_assert_eq!(one, "True/Bound", "{:?}", change);
            prop_assert!(world.is_ready("one"), "{:?}", change);
            for store in world.api.stores.values() {
                let class = &store.spec.class_name;
                prop_assert!(
                    class == "embedded" || world.api.classes.contains_key(class),
                    "class `{}` is gone, and Stores are of it", class
                );
            }
            known = now;
        }
        world.advance(100);
        world.written();
        world.touch_everything();
        world.settle();
        prop_assert_eq!(world.written(), Vec::new(), "another look");
        world.restart();
        world.advance(90);
        prop_assert_eq!(world.written(), Vec::new(), "a restart");
    }
}
