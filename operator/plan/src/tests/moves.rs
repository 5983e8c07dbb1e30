use std::collections::BTreeSet;

use super::world::{World, component, key};
use crate::Role;

fn roles(world: &World, name: &str) -> Vec<(String, Role)> {
    let assigned = world.runtimes.values().flat_map(|runtime| {
        let apps = runtime.assigned.iter().filter(|(app, _)| app.name == name);
        apps.map(|(_, assignment)| (runtime.pod.node.clone(), assignment.role))
    });
    assigned.collect()
}

fn draining(world: &World, name: &str) -> BTreeSet<String> {
    let endpoints = world.api.endpoints(&key(name)).into_iter();
    endpoints
        .filter(|e| e.terminating && !e.ready)
        .map(|e| e.node)
        .collect()
}

fn other_node(world: &World, name: &str) -> String {
    let nodes = ["node1", "node2", "node3"].map(str::to_owned);
    nodes
        .into_iter()
        .find(|node| !world.ready_nodes(name).contains(node))
        .unwrap()
}

#[test]
fn only_the_nodes_on_which_an_app_is_placed_are_told() {
    let mut world = World::new(3);
    world.ready_app("hello");
    let nodes: BTreeSet<String> = roles(&world, "hello")
        .into_iter()
        .map(|(node, _)| node)
        .collect();
    assert_eq!(nodes, world.ready_nodes("hello"));
    assert_eq!(nodes.len(), 2);
}

#[test]
fn scaling_down_drains_shows_it_and_closes_the_port_last() {
    let mut world = World::new(3);
    world.ready_app("hello");
    world.edit("hello", |app| app.spec.replicas = 1);
    world.settle();
    assert_eq!(world.ready_nodes("hello").len(), 1);
    let leaving = draining(&world, "hello");
    assert_eq!(leaving.len(), 1);
    let role_of = |world: &World| {
        let left = leaving.first().unwrap();
        roles(world, "hello")
            .into_iter()
            .find(|(node, _)| node == left)
            .map(|(_, role)| role)
    };
    assert_eq!(role_of(&world), Some(Role::Drain));
    world.advance(4);
    assert_eq!(
        draining(&world, "hello").len(),
        1,
        "still shown as terminating"
    );
    world.advance(2);
    assert_eq!(world.api.endpoints(&key("hello")).len(), 1);
    assert_eq!(
        role_of(&world),
        Some(Role::Drain),
        "what still arrives is answered"
    );
    world.advance(6);
    assert_eq!(role_of(&world), None);
    assert!(world.is_ready("hello"));
}

#[test]
fn the_node_of_a_dead_runtime_leaves_at_once_and_another_takes_over() {
    let mut world = World::new(3);
    world.ready_app("hello");
    let lost = world.ready_nodes("hello").first().unwrap().clone();
    let spare = other_node(&world, "hello");
    world.runtime(&spare).slow = true;
    world.kill(&lost);
    world.settle();
    assert_eq!(
        world.api.endpoints(&key("hello")).len(),
        1,
        "no endpoint of it is left"
    );
    assert_eq!(
        world.says("hello", "Ready"),
        "True/Degraded",
        "ready stays, and says what is wrong"
    );
    assert_eq!(world.status("hello").ready.as_deref(), Some("1/2"));
    world.catch_up(&spare);
    world.advance(30);
    assert!(world.ready_nodes("hello").contains(&spare));
    assert_eq!(world.says("hello", "Ready"), "True/AllNodesReady");
    world.written();
    world.revive(&lost);
    world.advance(60);
    assert_eq!(world.written(), [], "it does not move back");
    assert!(world.runtime(&lost).apps.is_empty());
}

#[test]
fn an_app_that_may_not_stay_on_a_node_is_ready_elsewhere_before_it_leaves() {
    let mut world = World::new(3);
    for node in ["node1", "node2", "node3"] {
        world.apply_node(node, |node| {
            node.metadata.labels = Some([("disk".to_owned(), "fast".to_owned())].into());
        });
    }
    world.builder.image("hello", vec![component("", &[])]);
    world.edit("hello", |app| {
        app.spec.image = Some("hello".to_owned());
        app.spec.node_selector = [("disk".to_owned(), "fast".to_owned())].into();
    });
    world.advance(30);
    let leaving = world.ready_nodes("hello").first().unwrap().clone();
    let spare = other_node(&world, "hello");
    world.runtime(&spare).slow = true;
    world.apply_node(&leaving, |node| node.metadata.labels = None);
    world.advance(60);
    assert!(
        world.ready_nodes("hello").contains(&leaving),
        "it stays until the other is ready"
    );
    world.catch_up(&spare);
    world.settle();
    assert!(world.ready_nodes("hello").contains(&spare));
    assert_eq!(draining(&world, "hello"), BTreeSet::from([leaving.clone()]));
    world.advance(30);
    assert_eq!(world.ready_nodes("hello").len(), 2);
    assert!(world.runtime(&leaving).apps.is_empty());
}

#[test]
fn a_runtime_that_is_about_to_end_loses_its_endpoints_and_keeps_answering() {
    let mut world = World::new(3);
    world.ready_app("hello");
    let node = world.ready_nodes("hello").first().unwrap().clone();
    let pod = world.runtime(&node).pod.uid.clone();
    world.drain(&node);
    world.settle();
    assert_eq!(draining(&world, "hello"), BTreeSet::from([node.clone()]));
    assert_eq!(world.ready_nodes("hello").len(), 2, "the app moved");
    assert!(!world.index.is_drained(&pod));
    world.advance(6);
    assert!(world.index.is_drained(&pod));
    assert!(roles(&world, "hello").contains(&(node, Role::Drain)));
}

#[test]
fn a_newer_runtime_of_a_node_takes_over_from_the_older_before_that_leaves() {
    let mut world = World::new(1);
    world.ready_app("hello");
    world.advance(10);
    world.add_runtime("runtime-new", "node1");
    world.runtimes.get_mut("uid-runtime-new").unwrap().slow = true;
    world.advance(20);
    let addresses = |world: &World| {
        let endpoints = world.api.endpoints(&key("hello")).into_iter();
        endpoints
            .filter(|e| e.ready)
            .map(|e| e.address)
            .collect::<Vec<_>>()
    };
    assert_eq!(addresses(&world), ["10.0.0.1"]);
    let uid = "uid-runtime-new";
    let runtime = world.runtimes.get_mut(uid).unwrap();
    runtime.slow = false;
    let mut report = runtime.apps.values().next().unwrap().clone();
    report.state = crate::ReportState::Ready;
    report.serving_revision = runtime.assigned.values().next().unwrap().revision.clone();
    runtime.apps.insert(report.app.clone(), report.clone());
    world.index.runtime_report(uid, false, vec![report], &[]);
    world.settle();
    assert_eq!(addresses(&world), ["10.0.0.2"]);
    assert_eq!(draining(&world, "hello").len(), 1);
    world.advance(30);
    assert!(world.runtimes["uid-runtime-node1"].apps.is_empty());
    assert!(world.is_ready("hello"));
}

#[test]
fn a_cordoned_node_keeps_its_apps_and_gets_no_new_ones() {
    let mut world = World::new(2);
    world.ready_app("hello");
    world.written();
    world.apply_node("node1", |node| {
        node.spec.get_or_insert_default().unschedulable = Some(true)
    });
    world.advance(30);
    assert_eq!(world.written(), []);
    world.ready_app("other");
    assert_eq!(
        world.ready_nodes("other"),
        BTreeSet::from(["node2".to_owned()])
    );
    assert_eq!(world.status("other").desired_replicas, 1);
}

#[test]
fn a_node_more_gives_apps_that_want_more_nodes_another_and_moves_no_one() {
    let mut world = World::new(2);
    world.ready_app("small");
    world.builder.image("large", vec![component("", &[])]);
    world.edit("large", |app| {
        app.spec.image = Some("large".to_owned());
        app.spec.replicas = 3;
    });
    world.advance(30);
    assert_eq!(world.status("large").ready.as_deref(), Some("2/2"));
    assert!(world.is_ready("large"), "as many as there are");
    let before = world.ready_nodes("small");
    world.add_node("node3");
    world.advance(30);
    assert_eq!(world.status("large").ready.as_deref(), Some("3/3"));
    assert_eq!(world.ready_nodes("small"), before);
}

#[test]
fn suspended_apps_keep_service_and_port_and_come_back() {
    let mut world = World::new(2);
    world.ready_app("hello");
    let port = world.status("hello").port;
    world.edit("hello", |app| app.spec.replicas = 0);
    world.advance(60);
    assert_eq!(world.says("hello", "Ready"), "True/Suspended");
    assert_eq!(world.says("hello", "Available"), "False/Suspended");
    assert_eq!(world.says("hello", "Reconciling"), "absent");
    assert_eq!(world.status("hello").ready.as_deref(), Some("0/0"));
    assert!(world.api.services.contains_key(&key("hello")));
    assert!(world.api.endpoints(&key("hello")).is_empty());
    assert!(
        world
            .runtimes
            .values()
            .all(|runtime| runtime.apps.is_empty())
    );
    world.edit("hello", |app| app.spec.replicas = 2);
    world.advance(30);
    assert_eq!(world.status("hello").port, port);
    assert!(world.is_ready("hello"));
}

#[test]
fn without_a_node_for_it_an_app_says_so() {
    let mut world = World::new(2);
    world.builder.image("hello", vec![component("", &[])]);
    world.edit("hello", |app| {
        app.spec.image = Some("hello".to_owned());
        app.spec.node_selector = [("gpu".to_owned(), "yes".to_owned())].into();
    });
    world.advance(30);
    assert_eq!(world.says("hello", "Ready"), "False/NoEligibleNodes");
    assert_eq!(world.says("hello", "Reconciling"), "True/NoEligibleNodes");
    assert!(
        world
            .condition("hello", "Ready")
            .unwrap()
            .message
            .contains("nodeSelector")
    );
    world.apply_node("node2", |node| {
        node.metadata.labels = Some([("gpu".to_owned(), "yes".to_owned())].into());
    });
    world.advance(30);
    assert!(world.is_ready("hello"));
}
