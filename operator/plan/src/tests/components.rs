use std::collections::BTreeMap;

use shoal_crds::{Component, EnvVar};

use super::world::{World, component};

fn item(name: &str, image: &str, routes: &[&str]) -> Component {
    Component {
        name: name.to_owned(),
        image: image.to_owned(),
        routes: routes.iter().map(|&route| route.to_owned()).collect(),
        env: None,
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
    second.env = Some(vec![EnvVar {
        name: "OWN".into(),
        value: "1".into(),
    }]);
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
