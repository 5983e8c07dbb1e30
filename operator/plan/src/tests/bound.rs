//! What is bound stays bound, whatever becomes of the classes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::binding::{OTHERS, OWN, spec};
use super::world::{World, component, key, postgres};

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
            prop_assert!(one.starts_with("True/"), "{:?}: {}", change, one);
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
        prop_assert_eq!(world.written_without_news(), [const { Vec::new() }; 2]);
    }
}
