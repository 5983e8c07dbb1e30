use super::world::{World, component, key};
use crate::{EventType, WriteAction};

#[test]
fn a_status_says_what_the_columns_and_kubectl_scale_read() {
    let mut world = World::new(3);
    world.ready_app("hello");
    let status = world.status("hello");
    assert_eq!(status.observed_generation, 1);
    assert_eq!((status.replicas, status.desired_replicas), (2, 2));
    assert_eq!(status.ready.as_deref(), Some("2/2"));
    assert_eq!(status.selector.as_deref(), Some("shoal.dev/app=hello"));
    assert_eq!(status.revision, status.serving_revision);
    assert_eq!(status.nodes.len(), 2);
    let summary = status.summary.unwrap();
    assert_eq!(
        summary.nodes.unwrap(),
        world
            .ready_nodes("hello")
            .into_iter()
            .collect::<Vec<_>>()
            .join(",")
    );
    assert_eq!(summary.stores.as_deref(), Some("hello-default"));
    assert_eq!(summary.reason, None);
    assert!(
        status
            .conditions
            .iter()
            .all(|condition| condition.observed_generation == Some(1))
    );
}

#[test]
fn the_time_of_a_condition_moves_only_with_its_status() {
    let mut world = World::new(2);
    world.ready_app("hello");
    let ready = world.condition("hello", "Ready").unwrap();
    world.advance(100);
    world.kill("node1");
    world.advance(30);
    let degraded = world.condition("hello", "Ready").unwrap();
    assert_eq!(degraded.last_transition_time, ready.last_transition_time);
    world.kill("node2");
    world.advance(30);
    let fallen = world.condition("hello", "Ready").unwrap();
    assert_eq!(world.says("hello", "Ready"), "False/NoEligibleNodes");
    assert!(fallen.last_transition_time > ready.last_transition_time);
    assert_eq!(
        fallen.last_transition_time.len(),
        "2023-11-14T22:13:20Z".len()
    );
}

#[test]
fn ready_falls_with_the_spec_and_rises_when_all_nodes_serve_it() {
    let mut world = World::new(3);
    world.ready_app("hello");
    let spare = ["node1", "node2", "node3"]
        .into_iter()
        .find(|node| !world.ready_nodes("hello").contains(*node))
        .unwrap();
    world.runtime(spare).slow = true;
    world.edit("hello", |app| app.spec.replicas = 3);
    world.advance(5);
    assert_eq!(world.says("hello", "Ready"), "False/Progressing");
    assert_eq!(world.status("hello").observed_generation, 2);
    assert_eq!(world.status("hello").ready.as_deref(), Some("2/3"));
    world.catch_up(spare);
    world.advance(5);
    assert_eq!(world.says("hello", "Ready"), "True/AllNodesReady");
}

#[test]
fn progress_waits_a_second_and_failure_does_not() {
    let mut world = World::new(2);
    world.builder.up = false;
    world.app("slow", "slow:1");
    world.settle();
    assert_eq!(world.status("slow").conditions, []);
    world.advance(2);
    assert_eq!(world.says("slow", "ImageResolved"), "Unknown/Resolving");
    assert_eq!(world.says("slow", "Reconciling"), "True/Progressing");
    world
        .builder
        .refuse_resolve("slow:1", super::world::refusal("ImageNotFound", 10));
    world.builder_up(true);
    assert_eq!(world.says("slow", "Ready"), "False/ImageNotFound");
}

#[test]
fn nodes_that_come_and_go_are_told_every_ten_seconds() {
    let mut world = World::new(6);
    for n in 1..=6 {
        world.runtime(&format!("node{n}")).slow = true;
    }
    world.builder.image("hello", vec![component("", &[])]);
    world.edit("hello", |app| {
        app.spec.image = Some("hello".to_owned());
        app.spec.replicas = 6;
    });
    world.advance(5);
    world.catch_up("node1");
    world.advance(60);
    world.written();
    for n in 2..=5 {
        world.catch_up(&format!("node{n}"));
        world.advance(1);
    }
    let statuses = world
        .written()
        .into_iter()
        .filter(|w| matches!(w, WriteAction::PatchAppStatus { .. }));
    assert!(statuses.count() <= 1);
    world.advance(20);
    assert_eq!(world.status("hello").ready.as_deref(), Some("5/6"));
    world.catch_up("node6");
    world.settle();
    world.advance(2);
    assert_eq!(world.says("hello", "Ready"), "True/AllNodesReady");
}

#[test]
fn at_most_twenty_nodes_are_named_and_those_that_are_not_ready_first() {
    let mut world = World::new(30);
    world.builder.image("hello", vec![component("", &[])]);
    world.runtime("node9").slow = true;
    world.edit("hello", |app| {
        app.spec.image = Some("hello".to_owned());
        app.spec.replicas = 30;
    });
    world.advance(30);
    let nodes = world.status("hello").nodes;
    assert_eq!(nodes.len(), 20);
    assert_eq!((nodes[0].name.as_str(), nodes[0].ready), ("node9", false));
    assert_eq!(nodes[0].reason.as_deref(), Some("Fetching"));
    assert!(nodes[1..].iter().all(|node| node.ready));
}

#[test]
fn code_that_does_not_link_is_said_with_its_node() {
    let mut world = World::new(2);
    world.ready_app("hello");
    world
        .builder
        .image("hello:2", vec![component("", &["default"])]);
    let before = world.status("hello").revision;
    for node in ["node1", "node2"] {
        world.runtime(node).slow = true;
    }
    world.app("hello", "hello:2");
    world.advance(5);
    let revision = world.status("hello").revision.unwrap();
    assert_ne!(Some(&revision), before.as_ref());
    for node in ["node1", "node2"] {
        let runtime = world.runtime(node);
        runtime.broken.insert(revision.clone());
        let mut report = runtime.apps.values().next().unwrap().clone();
        report.state = crate::ReportState::Failed;
        report.reason = "LinkFailed".to_owned();
        report.message = "no such import".to_owned();
        let uid = runtime.pod.uid.clone();
        runtime.apps.insert(report.app.clone(), report.clone());
        world.index.runtime_report(&uid, false, vec![report], &[]);
    }
    world.advance(30);
    assert_eq!(world.says("hello", "Ready"), "False/RevisionFailed");
    assert_eq!(world.says("hello", "Available"), "True/EndpointsReady");
    let message = world.condition("hello", "Ready").unwrap().message;
    assert!(
        message.contains("LinkFailed") && message.contains("`node1`"),
        "{message}"
    );
    assert_eq!(world.status("hello").serving_revision, before);
    assert_eq!(world.says("hello", "Stalled"), "True/RevisionFailed");
}

#[test]
fn events_come_with_what_a_person_would_want_to_know_and_not_again() {
    let mut world = World::new(2);
    world
        .builder
        .image("hello", vec![component("", &["default"])]);
    world.app("hello", "hello");
    world.advance(30);
    let told: Vec<_> = world
        .events
        .iter()
        .map(|event| (event.type_, event.reason.as_str()))
        .collect();
    assert_eq!(told, [(EventType::Normal, "AllNodesReady")]);
    world.events.clear();
    world
        .builder
        .refuse_build("bad", super::world::refusal("InvalidWasm", 0));
    world.app("hello", "bad");
    world.advance(600);
    let told: Vec<_> = world
        .events
        .iter()
        .map(|event| event.reason.as_str())
        .collect();
    assert_eq!(told, ["InvalidWasm", "RevisionFailed"]);
    world.events.clear();
    world.restart();
    world.advance(600);
    assert_eq!(world.events, []);
}

#[test]
fn a_plan_with_nothing_to_do_says_nothing() {
    let mut world = World::new(3);
    world.ready_app("hello");
    let plan = world.plan_one(&key("hello"));
    assert_eq!(
        (plan.writes, plan.ask, plan.events),
        (Vec::new(), Vec::new(), Vec::new())
    );
    assert_eq!(plan.recheck_at, None);
    assert!(plan.grants_changed.is_empty());
    assert_eq!(plan.instructions.len(), 2);
}

#[test]
fn lists_that_the_api_server_keeps_in_another_order_are_not_written_again() {
    let mut world = World::new(3);
    world.ready_app("hello");
    let mut app = world.api.apps[&key("hello")].clone();
    let status = app.status.as_mut().unwrap();
    status.conditions.reverse();
    status.nodes.reverse();
    let app = world.api.put_app(app, world.now);
    world.index.apply(app);
    world.advance(30);
    assert_eq!(world.written(), []);
}

#[test]
fn a_condition_of_someone_else_is_left_to_them() {
    let mut world = World::new(3);
    world.ready_app("hello");
    let mut app = world.api.apps[&key("hello")].clone();
    let status = app.status.as_mut().unwrap();
    let mut theirs = status.conditions[0].clone();
    theirs.type_ = "example.org/Audited".to_owned();
    status.conditions.push(theirs);
    let app = world.api.put_app(app, world.now);
    world.index.apply(app);
    world.advance(30);
    assert_eq!(world.written(), []);
}

#[test]
fn code_that_a_node_does_not_get_is_said_with_its_node() {
    let mut world = World::new(1);
    world.runtime("node1").slow = true;
    world.builder.image("hello:1", vec![component("", &[])]);
    world.app("hello", "hello:1");
    world.advance(5);
    world.lacks_code("node1", true);
    world.advance(5);
    assert_eq!(world.says("hello", "Ready"), "False/CodeUnavailable");
    assert_eq!(world.says("hello", "Reconciling"), "True/CodeUnavailable");
    let message = world.condition("hello", "Ready").unwrap().message;
    assert!(message.contains("`node1`: as it is"), "{message}");
    let node = world.status("hello").nodes[0].clone();
    assert_eq!(node.reason.as_deref(), Some("CodeUnavailable"));
    world.runtime("node1").slow = false;
    world.lacks_code("node1", false);
    world.advance(30);
    assert!(world.is_ready("hello"));
}

#[test]
fn slices_that_the_api_server_refuses_are_said_so_and_tried_again() {
    let mut world = World::new(1);
    world.builder.image("hello:1", vec![component("", &[])]);
    world.api.refuse("EndpointSlice", "denied by a webhook");
    world.app("hello", "hello:1");
    world.advance(50);
    assert_eq!(world.says("hello", "Ready"), "False/EndpointsRejected");
    let message = world.condition("hello", "Available").unwrap().message;
    assert!(message.contains("denied by a webhook"), "{message}");
    world.api.refusing.clear();
    world.advance(120);
    assert!(world.is_ready("hello"), "{:#?}", world.status("hello"));
}
