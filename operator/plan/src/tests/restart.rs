use proptest::prelude::*;

use super::world::{World, component, key, refusal};

#[test]
fn until_runtimes_are_heard_everything_stays_as_it_is() {
    let mut world = World::new(3);
    world.ready_app("hello");
    let before = world.api.endpoints(&key("hello"));
    world.restart_unheard();
    for _ in 0..20 {
        world.advance(4);
        assert_eq!(world.written(), []);
        assert_eq!(world.api.endpoints(&key("hello")), before);
    }
    world.hear_all();
    world.advance(60);
    assert_eq!(world.written(), []);
    assert_eq!(world.api.endpoints(&key("hello")), before);
}

#[test]
fn runtimes_that_are_heard_one_by_one_change_nothing() {
    let mut world = World::new(3);
    world.ready_app("hello");
    world.ready_app("other");
    world.restart_unheard();
    for node in ["node3", "node1", "node2"] {
        world.advance(20);
        world.hear(node);
    }
    world.advance(60);
    assert_eq!(world.written(), []);
    assert!(world.is_ready("hello") && world.is_ready("other"));
}

#[test]
fn a_leader_change_before_runtimes_are_heard_changes_nothing() {
    let mut world = World::new(3);
    world.ready_app("hello");
    world.restart_unheard();
    world.advance(30);
    world.restart_unheard();
    world.advance(10);
    let (now, record) = (world.now, world.record.clone());
    world.index.resign();
    world.index.lead(&record, now);
    world.advance(30);
    assert_eq!(world.written(), []);
    world.hear_all();
    world.advance(60);
    assert_eq!(world.written(), []);
}

#[test]
fn a_runtime_whose_report_is_late_keeps_what_it_has() {
    let mut world = World::new(2);
    world.ready_app("hello");
    world.restart_unheard();
    let greeting: Vec<_> = world.runtimes.values().map(|r| r.pod.uid.clone()).collect();
    for uid in greeting {
        let engine_key = "engine-1".to_owned();
        world.index.runtime_hello(&uid, crate::Hello { engine_key });
    }
    world.advance(40);
    assert_eq!(world.written(), []);
    world.hear_all();
    world.advance(60);
    assert_eq!(world.written(), []);
}

/// A node dies while no operator runs; `sign` is what tells the next one of it.
fn dies_meanwhile(sign: impl Fn(&mut World, &str)) {
    let mut world = World::new(3);
    world.ready_app("hello");
    let lost = world.ready_nodes("hello").first().unwrap().clone();
    world.runtime(&lost).alive = false;
    world.restart_unheard();
    world.advance(20);
    assert_eq!(world.written(), [], "it may still come");
    sign(&mut world, &lost);
    world.settle();
    let left = world.ready_nodes("hello");
    assert!(!left.contains(&lost) && left.len() == 1, "{left:?}");
    world.hear_all();
    world.advance(6);
    assert!(!world.ready_nodes("hello").contains(&lost));
    assert_eq!(world.ready_nodes("hello").len(), 2);
}

#[test]
fn a_runtime_that_was_not_heard_and_does_not_answer_is_gone() {
    dies_meanwhile(|world, lost| {
        let uid = world.runtime(lost).pod.uid.clone();
        world.index.runtime_lost(&uid);
    });
}

#[test]
fn a_runtime_that_was_not_heard_is_gone_with_its_pod_or_node() {
    dies_meanwhile(|world, lost| {
        let mut pod = world.runtime(lost).pod.clone();
        pod.ready = false;
        world.index.apply_runtime_pod(pod);
    });
    dies_meanwhile(|world, lost| {
        world.apply_node(lost, |node| {
            let ready = serde_json::json!([{"type": "Ready", "status": "Unknown"}]);
            node.status.get_or_insert_default().conditions = serde_json::from_value(ready).unwrap();
        });
    });
}

#[test]
fn what_kubernetes_says_right_after_a_start_does_not_count_yet() {
    let mut world = World::new(1);
    world.ready_app("hello");
    world.runtime("node1").pod.ready = false;
    world.restart_unheard();
    world.advance(3);
    assert_eq!(world.ready_nodes("hello").len(), 1);
    world.advance(5);
    assert_eq!(world.ready_nodes("hello").len(), 0);
    world.hear_all();
    world.advance(30);
    assert!(world.is_ready("hello"));
}

#[test]
fn who_was_not_heard_is_named_until_it_is_or_is_known_to_be_gone() {
    let mut world = World::new(2);
    world.restart_unheard();
    let now = world.now;
    assert_eq!(world.index.unheard_pods(now).len(), 2);
    world.hear("node1");
    let left = world.index.unheard_pods(now);
    assert_eq!(left, [world.runtime("node2").pod.uid.clone()]);
    world.index.runtime_lost(&left[0]);
    assert!(world.index.unheard_pods(now).is_empty());
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
    let exists = |world: &World, app: u8| world.api.apps.contains_key(&key(&name(app)));
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
            let key = key(&name(*app));
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
        prop_assert_eq!(world.written_without_news(), [const { Vec::new() }; 2]);
    }
}
