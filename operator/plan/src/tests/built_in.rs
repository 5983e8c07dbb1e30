//! How the built-in class does: there is no StoreClass to say it, so the Apps that have data there do.

use shoal_crds::Reason;

use super::world::{World, component, postgres};
use crate::{ClassHealth, EventType};

const BOUND: &str = "True/Bound";
const NOT_READY: &str = "True/StoreClassNotReady";
const FULL: &str = "the disk is full; see whether it has room";

/// `hello` and `other` have data in the built-in class, on all of so many nodes; `plain` opens no store, and `pg` has
/// its data in a database.
fn used(nodes: usize) -> World {
    let mut world = World::new(nodes);
    world.class("pg", postgres(""));
    world.index.credentials_read("pg", Ok(()));
    for (name, class) in [("hello", ""), ("other", "embedded"), ("pg", "pg")] {
        world.builder.image(name, vec![component("", &["default"])]);
        world.edit(name, |app| {
            app.spec.image = Some(name.to_owned());
            app.spec.replicas = i32::try_from(nodes).unwrap();
            let asked = format!("[{{label: default, class: {class}}}]");
            app.spec.stores =
                (!class.is_empty()).then(|| shoal_crds::yaml::from_str(&asked).unwrap());
        });
    }
    world.builder.image("plain", vec![component("", &[])]);
    world.app("plain", "plain");
    world.advance(30);
    for n in 1..=nodes {
        well(&mut world, &format!("node{n}"));
    }
    world.advance(30);
    for name in ["hello", "other", "pg", "plain"] {
        assert!(world.is_ready(name), "{:#?}", world.status(name));
    }
    world.written();
    world.events.clear();
    world
}

fn word(class: &str, trouble: Option<(&str, &str)>) -> ClassHealth {
    let (reason, message) = trouble.unwrap_or_default();
    ClassHealth {
        class: class.to_owned(),
        reachable: trouble.is_none(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        place: None,
    }
}

fn says(world: &mut World, node: &str, trouble: Option<(&str, &str)>) {
    world.classes_said(node, vec![word("embedded", trouble), word("pg", None)]);
}

fn full(world: &mut World, node: &str) {
    says(world, node, Some(("ReadOnly", FULL)));
}

fn well(world: &mut World, node: &str) {
    says(world, node, None);
}

#[test]
fn trouble_that_lasts_is_said_by_every_app_concerned_and_ends_by_itself() {
    let mut world = used(1);
    full(&mut world, "node1");
    world.advance(2);
    assert_eq!(
        world.says("hello", "StoresBound"),
        BOUND,
        "it may be over soon"
    );
    world.advance(2);
    for name in ["hello", "other"] {
        assert_eq!(world.says(name, "StoresBound"), NOT_READY);
        let message = world.condition(name, "StoresBound").unwrap().message;
        for part in ["`embedded`", "`default`", "ReadOnly", "node `node1`", FULL] {
            assert!(message.contains(part), "{message}");
        }
        assert!(world.is_ready(name), "it serves on");
    }
    assert_eq!(world.says("pg", "StoresBound"), BOUND);
    assert_eq!(world.says("plain", "StoresBound"), "True/NoStoresNeeded");
    assert_eq!(world.kinds_written(), [("App", 2)].into());
    let told: Vec<_> = world.events.drain(..).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    for event in &told {
        assert_eq!(event.type_, EventType::Warning);
        assert_eq!(event.reason, Reason::StoreClassNotReady.as_str());
        assert!(event.message.contains(FULL), "{}", event.message);
    }
    world.advance(300);
    world.touch_everything();
    world.settle();
    assert_eq!(world.written(), []);

    well(&mut world, "node1");
    world.settle();
    for name in ["hello", "other"] {
        assert_eq!(world.says(name, "StoresBound"), BOUND);
        let message = world.condition(name, "StoresBound").unwrap().message;
        assert_eq!(message, "every label has its Store");
    }
    assert_eq!(world.kinds_written(), [("App", 2)].into());
    assert_eq!(world.events, []);
}

#[test]
fn trouble_that_is_over_in_a_moment_is_not_said() {
    let mut world = used(1);
    for _ in 0..5 {
        full(&mut world, "node1");
        world.advance(2);
        well(&mut world, "node1");
        world.advance(2);
    }
    assert_eq!(world.written(), []);
    assert_eq!(world.events, []);
}

#[test]
fn one_node_of_several_is_named_and_another_that_comes_and_goes_is_no_news() {
    let mut world = used(3);
    full(&mut world, "node2");
    world.advance(5);
    let message = world.condition("hello", "StoresBound").unwrap().message;
    assert!(message.contains("node `node2`: "), "{message}");
    world.written();
    world.events.clear();
    for _ in 0..10 {
        full(&mut world, "node3");
        world.advance(4);
        assert_eq!(world.says("hello", "StoresBound"), NOT_READY);
        well(&mut world, "node3");
        world.advance(1);
        assert_eq!(world.says("hello", "StoresBound"), NOT_READY);
    }
    assert_eq!(world.written(), []);
    full(&mut world, "node3");
    world.advance(90);
    let message = world.condition("hello", "StoresBound").unwrap().message;
    assert!(message.contains("nodes `node2`, `node3`: "), "{message}");
    assert_eq!(world.kinds_written(), [("App", 2)].into());
    assert_eq!(world.events, []);
    well(&mut world, "node2");
    well(&mut world, "node3");
    world.settle();
    assert_eq!(world.says("hello", "StoresBound"), BOUND);
}

#[test]
fn another_reason_is_told_soon() {
    let mut world = used(1);
    full(&mut world, "node1");
    world.advance(5);
    world.written();
    says(
        &mut world,
        "node1",
        Some(("Unreachable", "it does not answer")),
    );
    world.advance(11);
    let message = world.condition("hello", "StoresBound").unwrap().message;
    assert!(
        message.contains("Unreachable: node `node1`: it does not answer"),
        "{message}"
    );
    assert_eq!(world.kinds_written(), [("App", 2)].into());
}

#[test]
fn what_only_the_store_pod_says_counts_too() {
    let mut world = used(1);
    let said = vec![word("embedded", Some(("ReadOnly", FULL)))];
    world.index.store_pod_health("store-0", said, world.now);
    world.advance(5);
    let message = world.condition("hello", "StoresBound").unwrap().message;
    assert!(message.contains("the store pod: "), "{message}");
    world
        .index
        .store_pod_health("store-0", Vec::new(), world.now);
    world.settle();
    assert_eq!(world.says("hello", "StoresBound"), BOUND);
}

#[test]
fn a_restart_writes_nothing_whoever_speaks_first() {
    for order in [["node1", "node2"], ["node2", "node1"]] {
        let mut world = used(2);
        for node in order {
            full(&mut world, node);
        }
        world.advance(30);
        assert_eq!(world.says("hello", "StoresBound"), NOT_READY);
        world.written();
        world.events.clear();
        world.restart_unheard();
        world.index.credentials_read("pg", Ok(()));
        for node in order {
            world.advance(5);
            world.hear(node);
        }
        world.advance(90);
        assert_eq!(world.written(), []);
        assert_eq!(world.events, []);
    }
}

#[test]
fn what_was_over_while_no_operator_ran_is_said_no_more() {
    let mut world = used(2);
    full(&mut world, "node1");
    world.advance(30);
    world.written();
    well(&mut world, "node1");
    world.written();
    world.restart_unheard();
    world.index.credentials_read("pg", Ok(()));
    world.hear_all();
    world.advance(90);
    assert_eq!(world.says("hello", "StoresBound"), BOUND);
    assert_eq!(world.says("other", "StoresBound"), BOUND);
}

#[test]
fn an_app_that_is_new_says_it_too() {
    let mut world = used(1);
    full(&mut world, "node1");
    world.advance(5);
    world
        .builder
        .image("late", vec![component("", &["default"])]);
    world.app("late", "late");
    world.advance(30);
    assert_eq!(world.says("late", "StoresBound"), NOT_READY);
    assert!(world.is_ready("late"));
    well(&mut world, "node1");
    world.settle();
    assert_eq!(world.says("late", "StoresBound"), BOUND);
}

#[test]
fn a_class_that_is_declared_says_it_itself() {
    let mut world = used(1);
    full(&mut world, "node1");
    world.advance(5);
    let spec = "{backend: {embedded: {}}}";
    world.class("embedded", shoal_crds::yaml::from_str(spec).unwrap());
    world.advance(30);
    assert_eq!(world.class_says("embedded", "Ready"), "False/ReadOnly");
    assert_eq!(world.says("hello", "StoresBound"), BOUND);
    world.delete_class("embedded");
    world.advance(30);
    assert_eq!(world.says("hello", "StoresBound"), NOT_READY);
}
