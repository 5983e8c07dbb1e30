use std::collections::BTreeSet;

use super::world::{World, component, refusal};
use crate::Question;

#[test]
fn while_the_builder_is_away_a_restart_leaves_everything_as_it_is() {
    let mut world = World::new(3);
    world.ready_app("hello");
    world.builder.up = false;
    world.restart();
    world.advance(3600);
    assert_eq!(world.written(), []);
    let node = world.ready_nodes("hello").first().unwrap().clone();
    let (pod, app) = {
        let runtime = world.runtime(&node);
        (
            runtime.pod.uid.clone(),
            runtime.apps.keys().next().unwrap().clone(),
        )
    };
    let all = world.index.node_assignments(&pod);
    assert_eq!((all.set, all.keep), (Vec::new(), vec![app]));
    assert_eq!(
        world.index.pod_grants(&pod).store_ids.len(),
        1,
        "it may still open its store"
    );
    world.builder_up(true);
    world.advance(60);
    assert_eq!(world.written(), []);
    assert_eq!(world.index.node_assignments(&pod).set.len(), 1);
}

#[test]
fn a_builder_that_cannot_pull_again_after_a_restart_does_not_make_a_ready_app_unready() {
    let mut world = World::new(3);
    world.ready_app("hello");
    world
        .builder
        .refuse_build("hello", refusal("RegistryUnavailable", 10));
    world.restart();
    world.advance(600);
    assert_eq!(world.written(), []);
    assert!(world.is_ready("hello"));
}

#[test]
fn code_is_made_for_the_engines_that_run() {
    let mut world = World::new(2);
    world.ready_app("hello");
    world.builder.asked.clear();
    world.add_node("node3");
    let runtime = world.runtime("node3");
    runtime.engine = "engine-2".to_owned();
    let uid = runtime.pod.uid.to_string();
    world.runtimes[&uid].connect(&mut world.index, world.now);
    world.settle();
    let asked: Vec<_> = world.builder.asked.iter().collect();
    assert!(
        matches!(asked.as_slice(), [Question::Build { engine_keys, .. }] if engine_keys.contains("engine-2")),
        "{asked:?}"
    );
    assert!(world.is_ready("hello"));
}

#[test]
fn two_apps_of_one_digest_have_it_built_once() {
    let mut world = World::new(1);
    world.ready_app("hello");
    world.app("again", "hello");
    world.advance(10);
    assert!(world.is_ready("again"));
    let builds = world
        .builder
        .asked
        .iter()
        .filter(|question| matches!(question, Question::Build { .. }));
    assert_eq!(builds.count(), 1);
    assert_eq!(
        world.builder.asked_resolves(),
        2,
        "each with its own credentials"
    );
}

#[test]
fn a_digest_of_another_repository_is_another_image() {
    for answer in [
        Ok(crate::Description {
            components: vec![component("theirs", &[])],
            ..crate::Description::default()
        }),
        Err(refusal("UnsupportedArtifact", 0)),
    ] {
        let mut world = World::new(1);
        world.ready_app("hello");
        world
            .builder
            .pretend("evil.example/x", "hello", answer.clone());
        world.app("evil", "evil.example/x");
        world.advance(30);
        world.ready_app("other");
        assert!(world.is_ready("hello") && world.is_ready("other"));
        let assigned = world.runtime("node1").assigned.clone();
        let of = |name: &str| {
            let mut found = assigned.iter().filter(|(app, _)| app.name == name);
            found
                .next()
                .map(|(_, one)| one.components[0].digest.clone())
        };
        assert_ne!(
            of("evil"),
            of("hello"),
            "it runs what its own repository holds"
        );
        let expected = if answer.is_ok() { "True" } else { "False" };
        assert!(world.says("evil", "Built").starts_with(expected));
        world.touch_everything();
        world.advance(30);
        assert_eq!(world.says("hello", "Built"), "True/BuildSucceeded");
    }
}

#[test]
fn only_code_that_was_really_made_counts_as_built() {
    let mut world = World::new(1);
    let unknown = "engine-1".to_owned();
    world.builder.unknown_engines.insert(unknown);
    world.builder.image("hello:1", vec![component("", &[])]);
    world.app("hello", "hello:1");
    world.advance(5);
    assert_eq!(world.says("hello", "Built"), "Unknown/Building");
    assert!(world.runtime("node1").assigned.is_empty());
    world.builder.take_builds();
    world.advance(3600);
    let asked = world.builder.take_builds().len();
    assert!((10..25).contains(&asked), "later and later: {asked}");
    world.builder.unknown_engines.clear();
    world.advance(301);
    assert!(world.is_ready("hello"));
    world.builder.take_builds();
    world.advance(3600);
    assert_eq!(world.builder.take_builds().len(), 0);
}

#[test]
fn a_builder_of_an_older_version_leaves_what_runs_as_it_is() {
    let mut world = World::new(2);
    world.ready_app("hello");
    world.builder.unknown_engines.insert("engine-1".to_owned());
    world.restart();
    world.advance(600);
    assert_eq!(world.written(), []);
    assert!(world.is_ready("hello"));
    assert_eq!(world.ready_nodes("hello").len(), 2);
}

#[test]
fn code_that_a_runtime_misses_is_asked_for_again_later_and_later() {
    let mut world = World::new(2);
    world.ready_app("hello");
    world.builder.take_builds();
    world.lacks_code("node1", true);
    world.settle();
    let engines = BTreeSet::from(["engine-1".to_owned()]);
    assert_eq!(world.builder.take_builds(), [engines]);
    world.advance(9);
    assert_eq!(world.builder.take_builds().len(), 0);
    world.advance(1);
    assert_eq!(world.builder.take_builds().len(), 1);
    world.advance(3600);
    let asked = world.builder.take_builds().len();
    assert!((10..20).contains(&asked), "{asked}");
    world.lacks_code("node1", false);
    world.settle();
    world.advance(3600);
    assert_eq!(world.builder.take_builds().len(), 0);
    assert!(world.is_ready("hello"));
    assert_eq!(world.ready_nodes("hello").len(), 2);
}
