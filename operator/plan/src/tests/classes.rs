//! StoreClasses: their status, their deletion, and who is told of them.

use std::collections::BTreeSet;

use super::world::{World, component, memory, postgres};
use crate::{ClassHealth, CredentialFault, PodGrants, WriteAction};

/// A class of a database whose credentials are there, and an App on each of the nodes that uses it.
pub(super) fn used(nodes: usize) -> World {
    let mut world = World::new(nodes);
    world.class("pg", postgres("default: true"));
    world.index.credentials_read("pg", Ok(()));
    world
        .builder
        .image("hello", vec![component("", &["default"])]);
    world.edit("hello", |app| {
        app.spec.image = Some("hello".to_owned());
        app.spec.replicas = i32::try_from(nodes).unwrap();
    });
    world.advance(30);
    assert!(world.is_ready("hello"), "{:#?}", world.status("hello"));
    for n in 1..=nodes {
        world.health(&format!("node{n}"), &[("pg", true)]);
    }
    world.advance(30);
    world.written();
    world
}

#[test]
fn a_class_that_every_node_reaches_is_ready_and_counts_its_stores() {
    let world = used(2);
    assert_eq!(world.class_says("pg", "Ready"), "True/Reachable");
    let status = world.class_status("pg");
    assert_eq!(
        (status.used_by, status.backend.as_deref()),
        (1, Some("postgres"))
    );
}

#[test]
fn a_class_that_no_node_uses_is_neither_ready_nor_not() {
    let mut world = World::new(1);
    world.class("m", memory(""));
    world.health("node1", &[]);
    world.advance(30);
    assert_eq!(world.class_says("m", "Ready"), "Unknown/Unused");
    assert_eq!(world.class_status("m").used_by, 0);
}

#[test]
fn trouble_that_lasts_is_told_with_its_nodes_and_ends_by_itself() {
    let mut world = used(2);
    world.health("node2", &[("pg", false)]);
    world.advance(2);
    assert_eq!(
        world.class_says("pg", "Ready"),
        "True/Reachable",
        "it may be over soon"
    );
    world.advance(2);
    assert_eq!(world.class_says("pg", "Ready"), "False/CredentialsRefused");
    let message = world.class_condition("pg", "Ready").unwrap().message;
    assert!(
        message.contains("node `node2`: the role is locked"),
        "{message}"
    );
    assert!(
        world.is_ready("hello"),
        "it is the class's trouble, not the App's"
    );
    assert_eq!(world.kinds_written(), [("StoreClass", 1)].into());
    world.advance(60);
    assert_eq!(world.written(), []);
    world.health("node2", &[("pg", true)]);
    world.settle();
    assert_eq!(world.class_says("pg", "Ready"), "True/Reachable");
}

#[test]
fn a_node_that_fails_after_another_is_named_too() {
    let mut world = used(2);
    world.health("node2", &[("pg", false)]);
    world.advance(30);
    world.health("node1", &[("pg", false)]);
    world.advance(30);
    let message = world.class_condition("pg", "Ready").unwrap().message;
    assert!(message.starts_with("nodes `node1`, `node2`: "), "{message}");
}

#[test]
fn trouble_that_is_over_in_a_moment_is_not_told() {
    let mut world = used(1);
    for _ in 0..5 {
        world.health("node1", &[("pg", false)]);
        world.advance(2);
        world.health("node1", &[("pg", true)]);
        world.advance(2);
    }
    assert_eq!(world.written(), []);
}

#[test]
fn a_restart_changes_nothing_before_every_runtime_has_spoken() {
    let mut world = used(2);
    world.health("node2", &[("pg", false)]);
    world.advance(30);
    world.written();
    world.restart_unheard();
    world.index.credentials_read("pg", Ok(()));
    world.hear("node1");
    world.advance(10);
    assert_eq!(world.class_says("pg", "Ready"), "False/CredentialsRefused");
    world.hear("node2");
    world.advance(90);
    assert_eq!(world.written(), []);
}

#[test]
fn a_restart_changes_nothing_of_a_class_that_only_the_store_pod_misses() {
    let mut world = World::new(2);
    world.class("pg", postgres(""));
    world.index.credentials_read("pg", Ok(()));
    let said = || {
        vec![ClassHealth {
            class: "pg".to_owned(),
            reachable: false,
            reason: "Unreachable".to_owned(),
            message: "it cannot be reached".to_owned(),
            place: None,
        }]
    };
    world.index.store_pod_health("store-0", said(), world.now);
    world.advance(30);
    assert_eq!(world.class_says("pg", "Ready"), "False/Unreachable");
    world.written();
    world.restart_unheard();
    world.index.credentials_read("pg", Ok(()));
    for node in ["node1", "node2"] {
        world.hear(node);
        world.advance(5);
    }
    // However late it is.
    world.advance(300);
    world.index.store_pod_health("store-0", said(), world.now);
    world.advance(90);
    assert_eq!(world.written(), []);
}

#[test]
fn a_restart_names_the_same_nodes_whoever_speaks_first() {
    let mut world = used(2);
    for node in ["node1", "node2"] {
        world.health(node, &[("pg", false)]);
    }
    world.advance(30);
    world.written();
    world.restart_unheard();
    world.index.credentials_read("pg", Ok(()));
    for node in ["node2", "node1"] {
        world.hear(node);
        world.advance(5);
    }
    world.advance(90);
    assert_eq!(world.written(), []);
}

#[test]
fn what_a_lost_runtime_said_does_not_count() {
    let mut world = used(2);
    world.health("node2", &[("pg", false)]);
    world.advance(10);
    assert_eq!(world.class_says("pg", "Ready"), "False/CredentialsRefused");
    world.kill("node2");
    world.advance(10);
    assert_eq!(world.class_says("pg", "Ready"), "True/Reachable");
}

#[test]
fn credentials_that_are_missing_are_told_by_name() {
    let mut world = used(1);
    let fault = CredentialFault {
        reason: shoal_crds::Reason::SecretNotFound,
        message: "Secret `pg` does not exist".to_owned(),
    };
    assert!(world.index.credentials_read("pg", Err(fault.clone())));
    assert!(!world.index.credentials_read("pg", Err(fault)), "no news");
    world.settle();
    assert_eq!(world.class_says("pg", "Ready"), "False/SecretNotFound");
    let message = world.class_condition("pg", "Ready").unwrap().message;
    assert_eq!(message, "Secret `pg` does not exist");
    world.index.credentials_read("pg", Ok(()));
    world.settle();
    assert_eq!(world.class_says("pg", "Ready"), "True/Reachable");
}

#[test]
fn counts_are_written_at_most_every_ten_seconds() {
    let mut world = used(1);
    for name in ["a", "b", "c", "d"] {
        world.builder.image(name, vec![component("", &["default"])]);
        world.app(name, name);
        world.advance(1);
    }
    world.advance(20);
    assert_eq!(world.class_status("pg").used_by, 5);
    let written = world.written();
    let statuses = written
        .iter()
        .filter(|write| matches!(write, WriteAction::PatchClassStatus { .. }));
    assert!(statuses.count() <= 2);
}

#[test]
fn a_class_in_use_is_not_deleted_before_its_last_store() {
    let mut world = used(1);
    world.delete_class("pg");
    world.advance(30);
    assert!(world.is_ready("hello"));
    assert_eq!(world.class_says("pg", "InUse"), "True/StoresRemain");
    world
        .builder
        .image("late", vec![component("", &["default"])]);
    world.app("late", "late");
    world.advance(30);
    assert_eq!(world.status("late").stores[0].class_name, "embedded");
    world.edit("late", |app| {
        let asked = "[{label: cache, class: pg}]";
        app.spec.stores = Some(shoal_crds::yaml::from_str(asked).unwrap());
    });
    world.advance(30);
    assert_eq!(
        world.says("late", "StoresBound"),
        "False/StoreClassDeleting"
    );
    world.delete_app("hello");
    world.advance(60);
    assert!(
        world.api.classes.contains_key("pg"),
        "its data is still there"
    );
    world.delete_store("hello-default");
    world.settle();
    assert!(!world.api.classes.contains_key("pg"));
}

#[test]
fn a_class_that_nothing_uses_is_deleted_at_once_and_is_held_before_its_first_store() {
    let mut world = World::new(1);
    world.class("pg", postgres("default: true"));
    world.settle();
    assert_eq!(world.api.classes["pg"].metadata.finalizers, None);
    world.delete_class("pg");
    assert!(!world.api.classes.contains_key("pg"));
    world.class("pg", postgres("default: true"));
    world.settle();
    world.written();
    world.ready_app_written("hello");
    let written = world.written();
    let at = |such: fn(&WriteAction) -> bool| written.iter().position(such).unwrap();
    assert!(
        at(|write| matches!(write, WriteAction::HoldClass { holds: true, .. }))
            < at(|write| matches!(write, WriteAction::CreateStore(_)))
    );
}

#[test]
fn a_finalizer_that_someone_took_away_comes_back() {
    let mut world = used(1);
    let mut class = world.api.classes["pg"].clone();
    class.metadata.finalizers = None;
    let class = world.api.put_class(class, world.now);
    world.index.apply(class);
    world.settle();
    assert_eq!(
        world.api.classes["pg"].metadata.finalizers.as_deref(),
        Some(&["shoal.dev/in-use".to_owned()][..])
    );
}

#[test]
fn settings_of_what_is_built_in_may_go_although_it_is_used() {
    let mut world = World::new(1);
    world.class(
        "embedded",
        shoal_crds::yaml::from_str("{backend: {embedded: {}}}").unwrap(),
    );
    world.ready_app("hello");
    world.delete_class("embedded");
    world.settle();
    assert!(!world.api.classes.contains_key("embedded"));
    assert!(world.is_ready("hello"));
}

#[test]
fn each_node_is_told_of_the_classes_of_its_apps_and_the_store_pod_of_its_own_stores() {
    let mut world = World::new(2);
    world.class("pg", postgres(""));
    world.class("m", memory(""));
    world.class("idle", postgres(""));
    for (app, node, class) in [("one", "node1", "pg"), ("two", "node2", "m")] {
        world.apply_node(node, |node| {
            let labels = [("for".to_owned(), app.to_owned())].into();
            node.metadata.labels = Some(labels);
        });
        world.builder.image(app, vec![component("", &["default"])]);
        world.edit(app, |found| {
            found.spec.image = Some(app.to_owned());
            found.spec.node_selector = [("for".to_owned(), app.to_owned())].into();
            let asked = format!("[{{label: default, class: {class}}}]");
            found.spec.stores = Some(shoal_crds::yaml::from_str(&asked).unwrap());
        });
    }
    world.advance(30);
    let uids = ["node1", "node2"].map(|node| world.runtime(node).pod.uid.clone());
    let classes = uids.each_ref().map(|uid| world.index.pod_classes(uid));
    let names = |name: &str| BTreeSet::from([name.to_owned()]);
    assert_eq!(classes, [names("pg"), names("m")]);
    let grants = |uid: &str| -> PodGrants { world.index.pod_grants(uid) };
    assert_eq!(grants(&uids[0]).store_ids, BTreeSet::new());
    assert_eq!(grants(&uids[1]).store_ids.len(), 1);
}

#[test]
fn a_runtime_speaks_for_apps_that_it_was_told_to_run() {
    let mut world = World::new(3);
    world.ready_app("hello");
    let serving = world.ready_nodes("hello");
    let app = {
        let runtime = world.runtime(serving.first().unwrap());
        runtime.assigned.keys().next().unwrap().clone()
    };
    for node in ["node1", "node2", "node3"] {
        let uid = world.runtime(node).pod.uid.clone();
        assert_eq!(
            world.index.has_been_told(&uid, &app),
            serving.contains(node)
        );
        let mut former = app.clone();
        former.uid = "of an earlier App".to_owned();
        assert!(!world.index.has_been_told(&uid, &former));
    }
}

impl World {
    /// An App that is applied and served, with what was written for it.
    fn ready_app_written(&mut self, name: &str) {
        self.builder.image(name, vec![component("", &["default"])]);
        self.app(name, name);
        self.advance(30);
        assert!(self.is_ready(name), "{:#?}", self.status(name));
    }
}
