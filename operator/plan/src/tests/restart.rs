use proptest::prelude::*;

use super::world::{World, component, refusal};

#[test]
fn until_runtimes_are_heard_everything_stays_as_it_is() {
    let mut world = World::new(3);
    world.ready_app("hello");
    let before = world.api.endpoints(&super::world::key("hello"));
    world.restart_unheard();
    world.advance(4);
    assert_eq!(world.written(), []);
    world.hear_all();
    world.advance(60);
    assert_eq!(world.written(), []);
    assert_eq!(world.api.endpoints(&super::world::key("hello")), before);
}

#[test]
fn a_runtime_that_is_not_heard_in_time_is_gone() {
    let mut world = World::new(3);
    world.ready_app("hello");
    let lost = world.ready_nodes("hello").first().unwrap().clone();
    world.runtime(&lost).alive = false;
    world.restart_unheard();
    world.hear_all();
    world.settle();
    assert!(
        world.ready_nodes("hello").contains(&lost),
        "it may still come"
    );
    world.advance(6);
    assert!(!world.ready_nodes("hello").contains(&lost));
    assert_eq!(world.ready_nodes("hello").len(), 2);
}

#[test]
fn a_leader_that_comes_back_knows_what_the_other_did() {
    let mut world = World::new(3);
    world.ready_app("hello");
    world.index.resign();
    world.ready_app_by_other("other");
    let now = world.now;
    let record = world.record.clone();
    world.index.lead(&record, now);
    world.settle();
    world.advance(60);
    assert_eq!(world.written(), []);
    assert!(world.is_ready("hello") && world.is_ready("other"));
}

impl World {
    /// Another operator does the work; this one watches.
    fn ready_app_by_other(&mut self, name: &str) {
        let watching = std::mem::replace(&mut self.index, crate::Index::new(self.now));
        self.restart();
        self.ready_app(name);
        self.index = watching;
        self.rechecks.clear();
        let api = std::mem::take(&mut self.api);
        api.feed_to(&mut self.index);
        self.api = api;
        self.hear_all();
        self.index.take_dirty();
    }
}

#[derive(Clone, Debug)]
enum Step {
    Apply(u8, u8),
    Scale(u8, i32),
    Delete(u8),
    Kill(u8),
    Revive(u8),
    Drain(u8),
    Cordon(u8, bool),
    Slow(u8),
    CatchUp(u8),
    Builder(bool),
    MendImage,
    DeleteService(u8),
    Wait(i64),
}

const IMAGES: [&str; 5] = ["one", "two", "bad", "missing", "labelled"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_u8, 0..5_u8).prop_map(|(app, image)| Step::Apply(app, image)),
        2 => (0..4_u8, 0..4_i32).prop_map(|(app, replicas)| Step::Scale(app, replicas)),
        1 => (0..4_u8).prop_map(Step::Delete),
        2 => (1..5_u8).prop_map(Step::Kill),
        3 => (1..5_u8).prop_map(Step::Revive),
        1 => (1..5_u8).prop_map(Step::Drain),
        1 => (1..5_u8, any::<bool>()).prop_map(|(node, on)| Step::Cordon(node, on)),
        2 => (1..5_u8).prop_map(Step::Slow),
        3 => (1..5_u8).prop_map(Step::CatchUp),
        1 => any::<bool>().prop_map(Step::Builder),
        1 => Just(Step::MendImage),
        1 => (0..4_u8).prop_map(Step::DeleteService),
        5 => (0..40_i64).prop_map(Step::Wait),
    ]
}

fn world() -> World {
    let mut world = World::new(4);
    world
        .builder
        .image("one", vec![component("", &["default"])]);
    world.builder.image("two", vec![component("", &[])]);
    world
        .builder
        .image("labelled", vec![component("", &["cache"])]);
    world.builder.refuse_build("bad", refusal("InvalidWasm", 0));
    world
        .builder
        .refuse_resolve("missing", refusal("ImageNotFound", 20));
    world
}

fn name(app: u8) -> String {
    format!("app{app}")
}

fn node(node: u8) -> String {
    format!("node{node}")
}

fn take(world: &mut World, step: &Step) {
    let exists =
        |world: &World, app: u8| world.api.apps.contains_key(&super::world::key(&name(app)));
    match step {
        Step::Apply(app, image) => world.app(&name(*app), IMAGES[usize::from(*image)]),
        Step::Scale(app, replicas) if exists(world, *app) => {
            world.edit(&name(*app), |app| app.spec.replicas = *replicas);
        }
        Step::Delete(app) if exists(world, *app) => world.delete_app(&name(*app)),
        Step::Kill(n) => world.kill(&node(*n)),
        Step::Revive(n) => world.revive(&node(*n)),
        Step::Drain(n) if world.runtime(&node(*n)).alive => world.drain(&node(*n)),
        Step::Cordon(n, on) => {
            world.apply_node(&node(*n), |node| {
                node.spec.get_or_insert_default().unschedulable = Some(*on)
            });
        }
        Step::Slow(n) => world.runtime(&node(*n)).slow = true,
        Step::CatchUp(n) if world.runtime(&node(*n)).alive => world.catch_up(&node(*n)),
        Step::Builder(up) => world.builder_up(*up),
        // Only what is asked for again: what was refused for good is asked for after a restart alone.
        Step::MendImage => world.builder.image("missing", vec![component("", &[])]),
        Step::DeleteService(app) => {
            let key = super::world::key(&name(*app));
            if world.api.services.contains_key(&key) {
                for gone in world.api.delete_service(&key) {
                    gone(&mut world.index);
                }
            }
        }
        Step::Wait(seconds) => world.advance(*seconds),
        _ => {}
    }
}

/// What holds whatever happens.
fn check(world: &World) -> Result<(), TestCaseError> {
    let mut ports = std::collections::BTreeMap::new();
    for (key, service) in &world.api.services {
        let ports_of = service.spec.as_ref().unwrap().ports.as_ref().unwrap();
        let port = serde_json::to_value(&ports_of[0].target_port).unwrap();
        prop_assert_eq!(
            ports.insert(port.to_string(), key.clone()),
            None,
            "two apps with a port"
        );
    }
    for slice in world.api.slices.values() {
        for endpoint in &slice.endpoints {
            let ready = endpoint.conditions.as_ref().unwrap().ready == Some(true);
            let uid = endpoint.target_ref.as_ref().unwrap().uid.clone().unwrap();
            let runtime = &world.runtimes[&uid];
            let service = &slice.metadata.labels.as_ref().unwrap()["kubernetes.io/service-name"];
            let answers = runtime.alive
                && runtime
                    .apps
                    .values()
                    .any(|r| r.app.name == *service && !r.serving_revision.is_empty());
            prop_assert!(
                !ready || answers,
                "{service} is shown as ready on {uid}, where it does not answer"
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn when_all_is_done_neither_another_look_nor_a_restart_writes_anything(
        steps in prop::collection::vec(step(), 1..25),
    ) {
        let mut world = world();
        for step in &steps {
            take(&mut world, step);
            world.settle();
            check(&world)?;
        }
        world.advance(400);
        check(&world)?;
        // Refused images are asked for again and again; nothing else is under way.
        world.written();
        world.touch_everything();
        world.settle();
        prop_assert_eq!(world.written(), Vec::new(), "another look");
        world.restart();
        world.advance(90);
        prop_assert_eq!(world.written(), Vec::new(), "a restart");
    }
}
