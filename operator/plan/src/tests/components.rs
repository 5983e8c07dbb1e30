use std::collections::BTreeMap;

use shoal_crds::{Component, EnvVar};

use super::world::{World, component};

fn item(name: &str, image: &str, routes: &[&str]) -> Component {
    Component {
        name: name.to_owned(),
        image: image.to_owned(),
        routes: routes.iter().map(|&route| route.to_owned()).collect(),
        ..Component::default()
    }
}

fn of_components(world: &mut World, components: Vec<Component>) {
    world.edit("hello", |app| {
        app.spec.image = None;
        app.spec.components = Some(components);
    });
    world.advance(60);
}

#[test]
fn components_take_names_and_routes_from_the_spec_and_their_own_environment() {
    let mut world = World::new(2);
    world
        .builder
        .image("a:1", vec![component("", &["default"])]);
    world.builder.image("b:1", vec![component("named", &[])]);
    let mut second = item("back", "b:1", &["/api/..."]);
    second.env = Some(vec![EnvVar::literal("OWN", "1")]);
    of_components(&mut world, vec![item("front", "a:1", &["/..."]), second]);
    assert!(world.is_ready("hello"), "{:#?}", world.status("hello"));
    let assignment = world
        .runtime("node1")
        .assigned
        .values()
        .next()
        .unwrap()
        .clone();
    let names: Vec<_> = assignment
        .components
        .iter()
        .map(|c| (c.name.as_str(), c.routes[0].as_str()))
        .collect();
    assert_eq!(names, [("front", "/..."), ("back", "/api/...")]);
    assert_eq!(assignment.components[0].env["FROM"], "image");
    assert_eq!(assignment.components[0].stores.len(), 1);
    assert_eq!(
        assignment.components[1].env,
        BTreeMap::from([("OWN".to_owned(), "1".to_owned())])
    );
    world.written();
    world.restart();
    world.advance(60);
    assert_eq!(world.written(), []);
    assert_eq!(world.builder.asked_resolves(), 2);
}

#[test]
fn components_that_do_not_fit_together_are_refused_by_name() {
    let cases = [
        (
            vec![item("a", "two:1", &["/..."])],
            "UnsupportedArtifact",
            "component `a`",
        ),
        (
            vec![item("a", "a:1", &["/x"]), item("b", "a:1", &["/x"])],
            "InvalidRoute",
            "component `b`",
        ),
        (
            vec![item("a", "a:1", &["/.../x"])],
            "InvalidRoute",
            "`/.../x`",
        ),
        (vec![item("a", "a:1", &["/:"])], "InvalidRoute", "`/:`"),
    ];
    for (components, reason, named) in cases {
        let mut world = World::new(2);
        world.builder.image("a:1", vec![component("", &[])]);
        world
            .builder
            .image("two:1", vec![component("x", &[]), component("y", &[])]);
        of_components(&mut world, components);
        assert_eq!(world.says("hello", "Built"), format!("False/{reason}"));
        assert_eq!(world.says("hello", "Stalled"), format!("True/{reason}"));
        let message = world.condition("hello", "Built").unwrap().message;
        assert!(message.contains(named), "{message}");
    }
}

#[test]
fn what_no_runtime_takes_is_refused_before_it_is_sent() {
    let with = |change: &dyn Fn(&mut crate::ComponentDescription)| {
        let mut one = component("api", &[]);
        change(&mut one);
        vec![one]
    };
    let many = |count: usize| -> Vec<_> {
        (0..count)
            .map(|n| crate::ComponentDescription {
                routes: vec![format!("/{n}")],
                ..component(&format!("c{n}"), &[])
            })
            .collect()
    };
    let cases = [
        (many(65), "UnsupportedArtifact"),
        (with(&|c| c.name = "a b".to_owned()), "UnsupportedArtifact"),
        (with(&|c| c.name = "a/b".to_owned()), "UnsupportedArtifact"),
        (
            with(&|c| c.routes = (0..1025).map(|n| format!("/{n}")).collect()),
            "InvalidRoute",
        ),
        (
            with(&|c| c.routes = vec!["/a//b".to_owned()]),
            "InvalidRoute",
        ),
        (with(&|c| c.routes = vec!["/*".to_owned()]), "InvalidRoute"),
        (
            with(&|c| c.routes = vec!["/a/:x".to_owned(), "/a/:y".to_owned()]),
            "InvalidRoute",
        ),
        (
            with(&|c| {
                c.env.insert("BIG".to_owned(), "x".repeat(1 << 20));
            }),
            "UnsupportedArtifact",
        ),
        (
            with(&|c| {
                c.env.insert("A=B".to_owned(), String::new());
            }),
            "UnsupportedArtifact",
        ),
    ];
    for (components, reason) in cases {
        let mut world = World::new(1);
        world.builder.image("hello:1", components);
        world.app("hello", "hello:1");
        world.advance(30);
        assert_eq!(world.says("hello", "Built"), format!("False/{reason}"));
        assert!(world.runtime("node1").assigned.is_empty());
    }
    let mut world = World::new(1);
    world.builder.image("hello:1", many(64));
    world.app("hello", "hello:1");
    world.advance(30);
    assert!(world.is_ready("hello"));
}

#[test]
fn an_environment_that_no_runtime_takes_changes_nothing_that_runs() {
    let mut world = World::new(1);
    world.ready_app("hello");
    let before = world.runtime("node1").assigned.clone();
    world.edit("hello", |app| {
        app.spec.env = Some(vec![EnvVar::literal("BIG", "x".repeat(1 << 20))]);
    });
    world.advance(30);
    assert_eq!(world.says("hello", "Ready"), "False/RevisionFailed");
    assert_eq!(world.says("hello", "Available"), "True/EndpointsReady");
    assert_eq!(world.runtime("node1").assigned, before);
}
