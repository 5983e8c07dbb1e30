use std::collections::BTreeMap;

use shoal_crds::EnvVar;

use super::world::{World, component, key, refusal};
use crate::{Instruction, Question};

#[test]
fn an_app_of_one_image_becomes_ready_with_six_writes() {
    let mut world = World::new(3);
    world
        .builder
        .image("hello:1", vec![component("", &["default"])]);
    world.app("hello", "hello:1");
    world.advance(60);
    assert_eq!(world.says("hello", "Ready"), "True/AllNodesReady");
    assert_eq!(world.says("hello", "ImageResolved"), "True/Resolved");
    assert_eq!(world.says("hello", "Built"), "True/BuildSucceeded");
    assert_eq!(world.says("hello", "StoresBound"), "True/Bound");
    assert_eq!(world.says("hello", "Available"), "True/EndpointsReady");
    assert_eq!(world.says("hello", "Reconciling"), "absent");
    let expected = [
        ("App", 1),
        ("EndpointSlice", 2),
        ("Service", 1),
        ("Store", 2),
    ];
    assert_eq!(world.kinds_written(), expected.into());
}

#[test]
fn the_image_is_asked_for_once_and_recorded_with_its_digest() {
    let mut world = World::new(2);
    world.ready_app("hello");
    let image = world.status("hello").image.unwrap();
    assert!(image.starts_with("hello@sha256:"), "{image}");
    assert_eq!(world.builder.asked_resolves(), 1);
    world.restart();
    world.advance(60);
    assert_eq!(
        world.builder.asked_resolves(),
        1,
        "a restart knows the digest"
    );
    assert_eq!(world.written(), []);
}

#[test]
fn a_refused_image_says_why_and_is_asked_again_later_and_later() {
    for (reason, stalled) in [("ImageNotFound", false), ("ImagePullUnauthorized", false)] {
        let mut world = World::new(2);
        world.builder.refuse_resolve("hello:1", refusal(reason, 10));
        world.app("hello", "hello:1");
        world.settle();
        assert_eq!(
            world.says("hello", "ImageResolved"),
            format!("False/{reason}")
        );
        assert_eq!(world.says("hello", "Built"), "Unknown/Waiting");
        assert_eq!(world.says("hello", "Ready"), format!("False/{reason}"));
        assert_eq!(world.says("hello", "Available"), "False/NoEndpoints");
        assert_eq!(world.condition("hello", "Stalled").is_some(), stalled);
        let message = world.condition("hello", "Ready").unwrap().message;
        assert_eq!(message, format!("because of {reason}"));
        world.advance(9);
        assert_eq!(world.builder.asked_resolves(), 1);
        world.advance(2);
        assert_eq!(world.builder.asked_resolves(), 2);
        world.advance(3600);
        let asked = world.builder.asked_resolves();
        assert!(
            (14..25).contains(&asked),
            "every five minutes in the end: {asked}"
        );
        world.written();
        world.builder.image("hello:1", vec![component("", &[])]);
        world.advance(301);
        assert!(world.is_ready("hello"), "it mends by itself");
    }
}

#[test]
fn a_build_that_only_another_image_helps_is_stalled_and_not_asked_again() {
    let mut world = World::new(2);
    world
        .builder
        .refuse_build("bad:1", refusal("UnsupportedImport", 0));
    world.app("hello", "bad:1");
    world.settle();
    assert_eq!(world.says("hello", "Built"), "False/UnsupportedImport");
    assert_eq!(world.says("hello", "Ready"), "False/UnsupportedImport");
    assert_eq!(world.says("hello", "Stalled"), "True/UnsupportedImport");
    assert_eq!(world.says("hello", "Reconciling"), "absent");
    let asked = world.builder.asked.len();
    world.advance(3600);
    assert_eq!(world.builder.asked.len(), asked);
    world.builder.image("good:1", vec![component("", &[])]);
    world.app("hello", "good:1");
    world.advance(5);
    assert!(world.is_ready("hello"));
    assert_eq!(world.says("hello", "Stalled"), "absent");
}

#[test]
fn a_new_image_that_fails_leaves_the_old_one_serving() {
    let mut world = World::new(3);
    world.ready_app("hello");
    let before = world.status("hello");
    let assigned = world.runtime("node1").assigned.clone();
    world
        .builder
        .refuse_build("bad:1", refusal("InvalidWasm", 0));
    world.app("hello", "bad:1");
    world.advance(60);
    assert_eq!(world.says("hello", "Available"), "True/EndpointsReady");
    assert_eq!(world.says("hello", "Ready"), "False/RevisionFailed");
    let message = world.condition("hello", "Ready").unwrap().message;
    assert_eq!(message, "InvalidWasm: because of InvalidWasm");
    let after = world.status("hello");
    assert_eq!(
        (after.image, after.revision),
        (before.image, before.revision)
    );
    assert_eq!(after.observed_generation, before.observed_generation + 1);
    assert_eq!(world.runtime("node1").assigned, assigned);
    assert_eq!(world.ready_nodes("hello").len(), 2);
    world.written();
    world.restart();
    world.advance(60);
    assert_eq!(world.written(), [], "nor does a restart change anything");
    assert_eq!(world.ready_nodes("hello").len(), 2);
}

#[test]
fn after_a_restart_an_app_whose_new_image_failed_can_still_be_placed_on_another_node() {
    let mut world = World::new(3);
    world.ready_app("hello");
    world
        .builder
        .refuse_build("bad:1", refusal("InvalidWasm", 0));
    world.app("hello", "bad:1");
    world.advance(60);
    world.restart();
    world.advance(60);
    let lost = world.ready_nodes("hello").first().unwrap().clone();
    world.kill(&lost);
    world.advance(60);
    assert_eq!(world.ready_nodes("hello").len(), 2);
    assert!(!world.ready_nodes("hello").contains(&lost));
}

#[test]
fn a_new_image_is_rolled_out_without_an_endpoint_leaving() {
    let mut world = World::new(3);
    world.ready_app("hello");
    for node in ["node1", "node2", "node3"] {
        world.runtime(node).slow = true;
    }
    world
        .builder
        .image("hello:2", vec![component("", &["default"])]);
    world.app("hello", "hello:2");
    world.advance(5);
    assert_eq!(
        world.ready_nodes("hello").len(),
        2,
        "the old code serves meanwhile"
    );
    assert_eq!(world.says("hello", "Ready"), "False/Progressing");
    assert_eq!(world.says("hello", "Reconciling"), "True/Progressing");
    assert_ne!(
        world.status("hello").revision,
        world.status("hello").serving_revision
    );
    for node in ["node1", "node2", "node3"] {
        world.catch_up(node);
    }
    world.advance(5);
    assert_eq!(world.says("hello", "Ready"), "True/AllNodesReady");
    assert_eq!(
        world.status("hello").revision,
        world.status("hello").serving_revision
    );
    assert_eq!(world.kinds_written().get("EndpointSlice"), None);
}

#[test]
fn environment_set_replaces_the_images_own_and_changes_live() {
    let mut world = World::new(2);
    world.ready_app("hello");
    let before = world.status("hello");
    world.edit("hello", |app| {
        app.spec.env = Some(vec![EnvVar::literal("A", "b")]);
    });
    world.advance(60);
    let assigned = world
        .runtime("node1")
        .assigned
        .values()
        .next()
        .unwrap()
        .clone();
    assert_eq!(
        assigned.components[0].env,
        BTreeMap::from([("A".to_owned(), "b".to_owned())])
    );
    assert_eq!(
        world.status("hello").revision,
        before.revision,
        "no new revision"
    );
    assert!(world.is_ready("hello"));
}

#[test]
fn the_pull_secrets_of_the_app_go_with_its_questions() {
    let mut world = World::new(1);
    world.builder.image("hello:1", vec![component("", &[])]);
    world.edit("hello", |app| {
        app.spec.image = Some("hello:1".to_owned());
        app.spec.image_pull_secrets = vec![shoal_crds::LocalObjectReference {
            name: "pull".to_owned(),
        }];
    });
    world.settle();
    assert!(world.builder.asked.iter().all(|question| match question {
        Question::Resolve { pull_secrets, .. } | Question::Build { pull_secrets, .. } =>
            pull_secrets == &["pull"],
    }));
}

#[test]
fn an_app_that_never_ran_is_told_to_nobody() {
    let mut world = World::new(2);
    world.app("hello", "missing:1");
    world.settle();
    let plan = world.plan_one(&key("hello"));
    assert!(
        plan.instructions
            .iter()
            .all(|told| told.instruction == Instruction::Keep),
        "{plan:?}"
    );
    assert!(plan.instructions.is_empty());
}

#[test]
fn a_new_pull_secret_is_tried_at_once() {
    let mut world = World::new(1);
    let unauthorized = refusal("ImagePullUnauthorized", 60);
    world.builder.refuse_resolve("hello:1", unauthorized);
    world.app("hello", "hello:1");
    world.advance(1000);
    world.builder.image("hello:1", vec![component("", &[])]);
    world.edit("hello", |app| {
        app.spec.image_pull_secrets = vec![shoal_crds::LocalObjectReference {
            name: "pull".to_owned(),
        }];
    });
    world.advance(5);
    assert!(world.is_ready("hello"));
}
