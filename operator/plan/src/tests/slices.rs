use std::collections::BTreeSet;

use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::world::{World, component, key};
use crate::slice::is_terminating;

fn slices(world: &World, family: &str) -> Vec<EndpointSlice> {
    world
        .api
        .slices
        .values()
        .filter(|slice| slice.address_type == family)
        .cloned()
        .collect()
}

#[test]
fn a_slice_says_all_that_consumers_read() {
    let mut world = World::new(1);
    world.apply_node("node1", |node| {
        node.metadata.labels =
            Some([("topology.kubernetes.io/zone".to_owned(), "a".to_owned())].into());
    });
    world.ready_app("hello");
    let service = world.api.services[&key("hello")].clone();
    for (family, address) in [("IPv4", "10.0.0.1"), ("IPv6", "fd00::1")] {
        let all = slices(&world, family);
        assert_eq!(all.len(), 1);
        let slice = &all[0];
        let labels = slice.metadata.labels.as_ref().unwrap();
        assert_eq!(labels["kubernetes.io/service-name"], "hello");
        assert_eq!(
            labels["endpointslice.kubernetes.io/managed-by"],
            "operator.shoal.dev"
        );
        assert_eq!(labels["shoal.dev/app"], "hello", "mirrored");
        let owner = &slice.metadata.owner_references.as_ref().unwrap()[0];
        assert_eq!(
            (owner.kind.as_str(), owner.controller),
            ("Service", Some(true))
        );
        assert_eq!(Some(&owner.uid), service.metadata.uid.as_ref());
        let port = &slice.ports.as_ref().unwrap()[0];
        assert_eq!(
            (port.name.as_deref(), port.port),
            (Some("http"), Some(10_000))
        );
        assert_eq!(port.protocol.as_deref(), Some("TCP"));
        let endpoint = &slice.endpoints[0];
        assert_eq!(endpoint.addresses, [address]);
        assert_eq!(endpoint.node_name.as_deref(), Some("node1"));
        assert_eq!(endpoint.zone.as_deref(), Some("a"));
        let target = endpoint.target_ref.as_ref().unwrap();
        assert_eq!(target.kind.as_deref(), Some("Pod"));
        assert_eq!(target.namespace.as_deref(), Some("shoal-system"));
        assert_eq!(target.name.as_deref(), Some("runtime-node1"));
        assert_eq!(target.uid.as_deref(), Some("uid-runtime-node1"));
        assert_eq!(target.resource_version, None);
        let conditions = endpoint.conditions.as_ref().unwrap();
        assert_eq!(conditions.ready, Some(true));
        assert_eq!(conditions.serving, Some(true));
        assert_eq!(conditions.terminating, Some(false));
        let annotations = slice.metadata.annotations.as_ref().unwrap();
        assert!(annotations.contains_key("endpoints.kubernetes.io/last-change-trigger-time"));
        let name = slice.metadata.name.as_ref().unwrap();
        assert!(name.starts_with("hello-") && name.len() <= 63, "{name}");
    }
}

#[test]
fn an_endpoint_is_ready_only_when_that_app_is_on_that_node() {
    let mut world = World::new(2);
    for node in ["node1", "node2"] {
        world.runtime(node).slow = true;
    }
    world.builder.image("hello:1", vec![component("", &[])]);
    world.app("hello", "hello:1");
    world.advance(30);
    assert!(world.api.slices.is_empty());
    assert_eq!(world.says("hello", "Available"), "False/NoEndpoints");
    world.catch_up("node2");
    world.advance(2);
    assert_eq!(
        world.ready_nodes("hello"),
        BTreeSet::from(["node2".to_owned()])
    );
    assert_eq!(world.says("hello", "Available"), "True/EndpointsReady");
    assert_eq!(world.says("hello", "Ready"), "False/Progressing");
}

#[test]
fn a_family_that_the_service_loses_loses_its_slices() {
    let mut world = World::new(2);
    world.ready_app("hello");
    let mut service = world.api.services[&key("hello")].clone();
    service.spec.as_mut().unwrap().ip_families = Some(vec!["IPv4".to_owned()]);
    let now = world.now;
    let service = world.api.put_service(service, now);
    world.index.apply(service);
    world.advance(30);
    assert_eq!(
        (slices(&world, "IPv4").len(), slices(&world, "IPv6").len()),
        (1, 0)
    );
}

#[test]
fn a_slice_deleted_or_changed_by_hand_is_mended() {
    let mut world = World::new(2);
    world.ready_app("hello");
    let victim = slices(&world, "IPv4")[0].clone();
    world
        .api
        .slices
        .remove(&crate::ObjectKey::of(&victim.metadata));
    world.index.delete(&victim);
    world.settle();
    assert_eq!(world.ready_nodes("hello").len(), 2);

    let mut changed = slices(&world, "IPv4")[0].clone();
    changed.endpoints[0].addresses = vec!["10.66.6.6".to_owned()];
    changed.endpoints[1].conditions.as_mut().unwrap().ready = Some(false);
    changed
        .metadata
        .labels
        .as_mut()
        .unwrap()
        .remove("shoal.dev/app");
    let now = world.now;
    let changed = world.api.put_slice(changed, now);
    world.index.apply(changed);
    world.settle();
    let healed = slices(&world, "IPv4")[0].clone();
    assert_eq!(healed.endpoints, victim.endpoints);
    assert_eq!(healed.metadata.labels, victim.metadata.labels);
}

#[test]
fn slices_of_an_earlier_service_of_that_name_are_removed_when_nobody_else_does() {
    for owner in ["uid-of-the-old", ""] {
        let mut world = World::new(1);
        world.ready_app("hello");
        let mut old = slices(&world, "IPv4")[0].clone();
        old.metadata.name = Some("hello-old".to_owned());
        old.metadata.uid = None;
        match owner {
            "" => old.metadata.owner_references = None,
            uid => old.metadata.owner_references.as_mut().unwrap()[0].uid = uid.to_owned(),
        }
        let now = world.now;
        let old = world.api.put_slice(old, now);
        world.index.apply(old.clone());
        world.advance(25);
        assert_eq!(world.written(), []);
        assert_eq!(world.api.slices[&key("hello-old")], old);
        world.advance(10);
        assert!(!world.api.slices.contains_key(&key("hello-old")));
        assert_eq!(world.kinds_written(), [("EndpointSlice", 1)].into());
        assert!(world.is_ready("hello"));
    }
}

#[test]
fn a_name_that_someone_took_is_passed_over() {
    let mut world = World::new(1);
    world.ready_app("hello");
    let own = slices(&world, "IPv4")[0].clone();
    world
        .api
        .slices
        .remove(&crate::ObjectKey::of(&own.metadata));
    world.index.delete(&own);
    let mut squatter = own.clone();
    squatter.metadata.labels.as_mut().unwrap().insert(
        "endpointslice.kubernetes.io/managed-by".to_owned(),
        "me".to_owned(),
    );
    squatter.metadata.uid = None;
    let now = world.now;
    let squatter = world.api.put_slice(squatter, now);
    world.index.apply(squatter.clone());
    world.settle();
    assert_eq!(slices(&world, "IPv4").len(), 2);
    assert_eq!(
        world.api.slices[&crate::ObjectKey::of(&own.metadata)],
        squatter
    );
}

#[test]
fn more_than_a_hundred_endpoints_are_split_and_stay_where_they_are() {
    let mut world = World::new(130);
    world.builder.image("hello:1", vec![component("", &[])]);
    world.edit("hello", |app| {
        app.spec.image = Some("hello:1".to_owned());
        app.spec.replicas = 130;
    });
    world.advance(30);
    let sizes = |world: &World| {
        let mut sizes: Vec<usize> = slices(world, "IPv4")
            .iter()
            .map(|s| s.endpoints.len())
            .collect();
        sizes.sort_unstable();
        sizes
    };
    assert_eq!(sizes(&world), [30, 100]);
    world.written();
    world.restart();
    world.advance(30);
    assert_eq!(world.written(), []);
    world.edit("hello", |app| app.spec.replicas = 129);
    world.advance(30);
    assert_eq!(sizes(&world).iter().sum::<usize>(), 129);
    assert_eq!(sizes(&world).len(), 2, "never rebalanced");
}

#[test]
fn a_slice_that_loses_its_last_endpoint_stays_empty() {
    let mut world = World::new(1);
    world.ready_app("hello");
    world.kill("node1");
    world.settle();
    let left = slices(&world, "IPv4");
    assert_eq!((left.len(), left[0].endpoints.len()), (1, 0));
    world.revive("node1");
    world.advance(30);
    assert_eq!(slices(&world, "IPv4").len(), 1);
    assert_eq!(world.ready_nodes("hello").len(), 1);
}

#[test]
fn an_app_that_stops_answering_is_shown_as_not_ready_until_it_does_again() {
    let mut world = World::new(1);
    world.ready_app("hello");
    let runtime = world.runtime("node1");
    let mut report = runtime.apps.values().next().unwrap().clone();
    report.serving_revision.clear();
    let uid = runtime.pod.uid.clone();
    world.index.runtime_report(&uid, false, vec![report], &[]);
    world.settle();
    let endpoint = slices(&world, "IPv4")[0].endpoints[0].clone();
    let conditions = endpoint.conditions.clone().unwrap();
    assert_eq!(
        (conditions.ready, conditions.serving),
        (Some(false), Some(false))
    );
    assert!(!is_terminating(&endpoint));
    assert_eq!(world.says("hello", "Available"), "False/NoEndpoints");
    world.hear_all();
    world.advance(30);
    assert!(world.is_ready("hello"));
}
