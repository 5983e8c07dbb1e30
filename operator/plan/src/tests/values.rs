use std::collections::BTreeMap;

use shoal_crds::{App, KeySelector, ValueSource, Variable};

use super::world::{World, component, key};
use crate::ComponentDescription;

fn from_secret(variable: &str, name: &str, key: &str) -> Variable {
    Variable {
        name: variable.into(),
        value: None,
        value_from: Some(ValueSource {
            secret_key_ref: Some(KeySelector {
                name: name.into(),
                key: key.into(),
                optional: None,
            }),
            config_map_key_ref: None,
        }),
    }
}

fn literal(name: &str, value: &str) -> Variable {
    Variable {
        name: name.into(),
        value: Some(value.into()),
        value_from: None,
    }
}

fn takes_token(app: &mut App) {
    app.spec.variables = Some(vec![from_secret("token", "db", "password")]);
}

/// What the guests on a node read as `token`.
fn token(world: &mut World, node: &str) -> Option<String> {
    let assignment = world.runtime(node).assigned.values().next()?.clone();
    assignment.components[0].variables.get("token").cloned()
}

/// An App that reads a Secret and serves.
fn serving() -> World {
    let mut world = World::new(2);
    world.builder.image("hello:1", vec![component("", &[])]);
    world.secret("db", &[("password", "one")]);
    world.app("hello", "hello:1");
    world.edit("hello", takes_token);
    world.settle();
    assert_eq!(
        token(&mut world, "node1"),
        None,
        "nothing runs before it is read"
    );
    world.read_values();
    world.advance(30);
    assert!(world.is_ready("hello"), "{:#?}", world.status("hello"));
    assert_eq!(token(&mut world, "node1").as_deref(), Some("one"));
    world.written();
    world.events.clear();
    world
}

#[test]
fn a_changed_secret_reaches_every_node_without_a_revision_or_a_word() {
    let mut world = serving();
    let before = world.status("hello");
    world.secret("db", &[("password", "two")]);
    world.read_values();
    for node in ["node1", "node2"] {
        assert_eq!(token(&mut world, node).as_deref(), Some("two"));
    }
    world.advance(60);
    assert_eq!(world.status("hello").revision, before.revision);
    assert!(world.is_ready("hello"));
    assert_eq!(world.written(), [], "the status says what it said");
    assert_eq!(world.events, []);

    let plans = world.plans;
    world.read_values();
    assert_eq!(world.plans, plans, "the same version is no change");
}

#[test]
fn a_secret_that_goes_takes_no_running_app_down() {
    let mut world = serving();
    world.delete_secret("db");
    world.read_values();
    world.advance(60);
    assert_eq!(world.says("hello", "Ready"), "True/LastValuesKept");
    assert_eq!(world.ready_nodes("hello").len(), 2);
    assert_eq!(token(&mut world, "node1").as_deref(), Some("one"));
    let message = world.condition("hello", "Ready").unwrap().message;
    for word in ["Secret `db`", "`token`", "the values that it had"] {
        assert!(message.contains(word), "{message}");
    }

    world.restart();
    world.read_values();
    world.advance(60);
    assert_eq!(world.says("hello", "Ready"), "True/LastValuesKept");
    assert_eq!(world.ready_nodes("hello").len(), 2);
    assert_eq!(token(&mut world, "node1").as_deref(), Some("one"));

    world.secret("db", &[("password", "three")]);
    world.read_values();
    world.advance(60);
    assert_eq!(world.says("hello", "Ready"), "True/AllNodesReady");
    assert_eq!(token(&mut world, "node2").as_deref(), Some("three"));
}

#[test]
fn a_restart_with_all_values_there_writes_nothing() {
    let mut world = serving();
    world.restart();
    world.advance(10);
    world.read_values();
    world.advance(60);
    assert_eq!(world.written(), []);
    assert_eq!(token(&mut world, "node1").as_deref(), Some("one"));
}

#[test]
fn an_api_server_that_cannot_be_read_from_changes_nothing_that_runs() {
    let mut world = serving();
    world.objects.refuses = true;
    world.read_values();
    world.advance(60);
    assert_eq!(world.says("hello", "Ready"), "True/AllNodesReady");
    assert_eq!(world.written(), []);

    world.edit("hello", |app| {
        let more = from_secret("more", "other", "key");
        app.spec.variables.get_or_insert_default().push(more);
    });
    world.settle();
    world.read_values();
    world.advance(60);
    assert_eq!(world.says("hello", "Ready"), "False/RevisionFailed");
    let message = world.condition("hello", "Ready").unwrap().message;
    assert!(
        message.contains("ValueUnreadable") && message.contains("Secret `other`"),
        "{message}"
    );
    assert_eq!(token(&mut world, "node1").as_deref(), Some("one"));
}

#[test]
fn a_first_app_whose_value_is_missing_says_which_and_starts_when_it_comes() {
    let mut world = World::new(2);
    world.builder.image("hello:1", vec![component("", &[])]);
    world.app("hello", "hello:1");
    world.edit("hello", takes_token);
    world.settle();
    world.read_values();
    world.advance(30);
    assert_eq!(world.says("hello", "Ready"), "False/ValueNotFound");
    assert_eq!(world.says("hello", "Reconciling"), "True/ValueNotFound");
    let message = world.condition("hello", "Ready").unwrap().message;
    assert!(message.contains("Secret `db`"), "{message}");
    assert!(world.runtime("node1").assigned.is_empty());

    world.secret("db", &[("other", "x")]);
    world.read_values();
    world.advance(30);
    let message = world.condition("hello", "Ready").unwrap().message;
    assert!(message.contains("key `password`"), "{message}");

    world.secret("db", &[("password", "late")]);
    world.read_values();
    world.advance(30);
    assert!(world.is_ready("hello"));
    assert_eq!(token(&mut world, "node1").as_deref(), Some("late"));
}

fn declaring(world: &mut World, image: &str) {
    let templates = BTreeMap::from([("token".to_owned(), "<{{ secret }}@{{ host }}>".to_owned())]);
    let component = ComponentDescription {
        variables: templates,
        ..component("api", &[])
    };
    let declared = BTreeMap::from([
        ("secret".to_owned(), None),
        ("host".to_owned(), Some("a.example".to_owned())),
    ]);
    world.builder.app_image(image, vec![component], declared);
}

#[test]
fn a_required_variable_without_a_value_is_named_and_a_template_gets_it() {
    let mut world = World::new(2);
    declaring(&mut world, "hello:1");
    world.app("hello", "hello:1");
    world.advance(30);
    assert_eq!(world.says("hello", "Ready"), "False/VariableMissing");
    assert_eq!(world.says("hello", "Stalled"), "True/VariableMissing");
    let message = world.condition("hello", "Ready").unwrap().message;
    assert!(
        message.contains("`secret`") && message.contains("component `api`"),
        "{message}"
    );

    world.edit("hello", |app| {
        app.spec.variables = Some(vec![literal("secret", "s")]);
    });
    world.advance(30);
    assert!(world.is_ready("hello"));
    assert_eq!(token(&mut world, "node1").as_deref(), Some("<s@a.example>"));
}

#[test]
fn a_new_image_that_needs_another_value_leaves_the_old_one_serving() {
    let mut world = serving();
    declaring(&mut world, "hello:2");
    world.app("hello", "hello:2");
    world.settle();
    world.read_values();
    world.advance(30);
    assert_eq!(world.says("hello", "Ready"), "False/RevisionFailed");
    assert_eq!(world.says("hello", "Available"), "True/EndpointsReady");
    let message = world.condition("hello", "Ready").unwrap().message;
    assert!(message.contains("VariableMissing"), "{message}");
    assert_eq!(token(&mut world, "node1").as_deref(), Some("one"));
}

#[test]
fn what_no_app_refers_to_is_not_read_and_not_kept() {
    let mut world = serving();
    assert_eq!(world.index.value_sources().len(), 1);
    let version = world.index.value_sources_version();
    world.edit("hello", |app| app.spec.variables = None);
    world.settle();
    assert!(world.index.value_sources().is_empty());
    assert_ne!(world.index.value_sources_version(), version);

    world.edit("hello", takes_token);
    world.settle();
    assert_eq!(world.index.value_sources().len(), 1);
    world.delete_app("hello");
    world.settle();
    assert!(world.index.value_sources().is_empty());
}

#[test]
fn values_are_not_in_what_is_printed_of_a_plan() {
    let mut world = serving();
    world.secret("db", &[("password", "s3cr3t")]);
    world.read_values();
    world.touch_everything();
    let plan = world.plan_one(&key("hello"));
    assert_eq!(token(&mut world, "node1").as_deref(), Some("s3cr3t"));
    let text = format!("{plan:?} {:?}", world.index);
    assert!(text.contains("token"), "{text}");
    // As text or as bytes.
    for secret in ["s3cr3t", "115, 51, 99"] {
        assert!(!text.contains(secret), "{text}");
    }
}
