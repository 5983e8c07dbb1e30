use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use serde_json::json;
use shoal_crds::ServiceType;

use super::world::{World, component, key};

fn service(world: &World) -> Service {
    world.api.services[&key("hello")].clone()
}

fn spec(world: &World) -> k8s_openapi::api::core::v1::ServiceSpec {
    service(world).spec.unwrap()
}

/// Someone else changes the Service.
fn meddle(world: &mut World, meddle: impl FnOnce(&mut Service)) {
    let mut changed = service(world);
    meddle(&mut changed);
    let now = world.now;
    let changed = world.api.put_service(changed, now);
    world.index.apply(changed);
    world.advance(30);
}

#[test]
fn the_service_is_the_apps_and_has_no_selector() {
    let mut world = World::new(1);
    world.ready_app("hello");
    let service = service(&world);
    let owner = &service.metadata.owner_references.unwrap()[0];
    assert_eq!((owner.kind.as_str(), owner.controller), ("App", Some(true)));
    assert_eq!(
        Some(&owner.uid),
        world.api.apps[&key("hello")].metadata.uid.as_ref()
    );
    let spec = service.spec.unwrap();
    assert_eq!(spec.selector, None);
    let port = &spec.ports.unwrap()[0];
    assert_eq!((port.name.as_deref(), port.port), (Some("http"), 80));
    assert_eq!(
        serde_json::to_value(&port.target_port).unwrap(),
        json!(10_000)
    );
    assert_eq!(world.status("hello").port, Some(10_000));
    assert_eq!(world.status("hello").url.unwrap(), "http://hello.shop");
}

#[test]
fn what_others_change_in_our_fields_is_repaired_and_theirs_stay() {
    type Meddle = fn(&mut Service);
    let ours: [(&str, Meddle); 5] = [
        ("target port", |s| {
            s.spec.as_mut().unwrap().ports.as_mut().unwrap()[0].target_port = None
        }),
        ("port name", |s| {
            s.spec.as_mut().unwrap().ports.as_mut().unwrap()[0].name = Some("web".into())
        }),
        ("another port", |s| {
            let ports = s.spec.as_mut().unwrap().ports.as_mut().unwrap();
            ports.push(k8s_openapi::api::core::v1::ServicePort {
                port: 81,
                ..ports[0].clone()
            });
        }),
        ("type", |s| {
            s.spec.as_mut().unwrap().type_ = Some("NodePort".into())
        }),
        ("label", |s| {
            s.metadata.labels.as_mut().unwrap().remove("shoal.dev/app");
        }),
    ];
    for (what, change) in ours {
        let mut world = World::new(1);
        world.ready_app("hello");
        let before = service(&world);
        meddle(&mut world, change);
        let after = service(&world);
        assert_eq!(after.metadata.labels, before.metadata.labels, "{what}");
        let ports = |s: &Service| {
            let mut ports = s.spec.clone().unwrap().ports.unwrap();
            ports[0].node_port = None;
            ports
        };
        assert_eq!(ports(&after), ports(&before), "{what}");
        assert_eq!(
            after.spec.unwrap().type_,
            before.spec.unwrap().type_,
            "{what}"
        );
        assert_eq!(world.kinds_written().get("Service"), Some(&1), "{what}");
    }
    let mut world = World::new(1);
    world.ready_app("hello");
    meddle(&mut world, |s| {
        s.metadata
            .labels
            .as_mut()
            .unwrap()
            .insert("team".into(), "blue".into());
        s.metadata
            .annotations
            .get_or_insert_default()
            .insert("cloud/lb".into(), "x".into());
        s.spec.as_mut().unwrap().session_affinity = Some("ClientIP".into());
    });
    assert_eq!(
        world.kinds_written(),
        [("EndpointSlice", 2)].into(),
        "labels are mirrored, nothing else"
    );
    assert_eq!(spec(&world).session_affinity.as_deref(), Some("ClientIP"));
}

#[test]
fn labels_and_annotations_come_and_go_with_the_spec() {
    let mut world = World::new(1);
    world.ready_app("hello");
    world.edit("hello", |app| {
        app.metadata.labels = Some([("argocd/tracking".to_owned(), "x".to_owned())].into());
        app.spec.service.labels = [("team".to_owned(), "blue".to_owned())].into();
        app.spec.service.annotations = [("note".to_owned(), "1".to_owned())].into();
    });
    world.advance(30);
    let labels = service(&world).metadata.labels.unwrap();
    assert_eq!(labels["team"], "blue");
    assert!(!labels.contains_key("argocd/tracking"));
    meddle(&mut world, |s| {
        s.metadata
            .labels
            .as_mut()
            .unwrap()
            .insert("theirs".into(), "x".into());
    });
    world.restart();
    world.edit("hello", |app| {
        app.spec.service.labels.clear();
        app.spec.service.annotations.clear();
    });
    world.advance(30);
    assert!(
        !service(&world)
            .metadata
            .labels
            .unwrap()
            .contains_key("team")
    );
    assert!(
        !service(&world)
            .metadata
            .annotations
            .unwrap_or_default()
            .contains_key("note")
    );
}

#[test]
fn a_node_port_survives_a_change_of_port_and_goes_with_its_type() {
    let mut world = World::new(1);
    world.ready_app("hello");
    world.edit("hello", |app| {
        app.spec.service.type_ = ServiceType::NodePort
    });
    world.advance(30);
    assert_eq!(spec(&world).ports.unwrap()[0].node_port, Some(30_007));
    world.edit("hello", |app| app.spec.service.port = 8080);
    world.advance(30);
    let port = spec(&world).ports.unwrap()[0].clone();
    assert_eq!((port.port, port.node_port), (8080, Some(30_007)));
    assert_eq!(world.status("hello").url.unwrap(), "http://hello.shop:8080");
}

fn foreign(name: &str) -> Service {
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": {"app": "x"}, "ports": [{"port": 80}]},
    }))
    .unwrap()
}

#[test]
fn a_service_of_that_name_that_is_not_ours_is_left_alone_and_said_so() {
    let mut world = World::new(2);
    let now = world.now;
    let theirs = world.api.put_service(foreign("hello"), now);
    world.index.apply(theirs.clone());
    world.builder.image("hello:1", vec![component("", &[])]);
    world.app("hello", "hello:1");
    world.advance(30);
    assert_eq!(service(&world), theirs);
    assert_eq!(world.says("hello", "Ready"), "False/ServiceNameTaken");
    assert_eq!(world.says("hello", "Available"), "False/ServiceNameTaken");
    assert_eq!(world.says("hello", "Stalled"), "True/ServiceNameTaken");
    assert_eq!(world.status("hello").url, None);
    assert!(
        world
            .events
            .iter()
            .any(|event| event.reason == "ServiceNameTaken")
    );
    assert!(world.api.slices.is_empty());
    for gone in world.api.delete_service(&key("hello")) {
        gone(&mut world.index);
    }
    world.advance(30);
    assert!(world.is_ready("hello"), "{:#?}", world.status("hello"));
}

fn built_in_slice(manager: &str) -> EndpointSlice {
    serde_json::from_value(json!({
        "metadata": {"name": "hello-left", "namespace": "shop", "labels": {
            "kubernetes.io/service-name": "hello",
            "endpointslice.kubernetes.io/managed-by": manager,
        }},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.9.9"]}],
    }))
    .unwrap()
}

#[test]
fn a_selector_is_removed_again_and_what_it_left_is_cleaned_up() {
    let mut world = World::new(1);
    world.ready_app("hello");
    let now = world.now;
    let left = world
        .api
        .put_slice(built_in_slice("endpointslice-controller.k8s.io"), now);
    world.index.apply(left);
    meddle(&mut world, |s| {
        s.spec.as_mut().unwrap().selector = Some([("app".to_owned(), "x".to_owned())].into());
    });
    assert_eq!(spec(&world).selector, None);
    assert!(!world.api.slices.contains_key(&key("hello-left")));
    assert_eq!(world.api.endpoints_deleted, 1);
    assert!(
        world
            .events
            .iter()
            .any(|event| event.reason == "SelectorRemoved")
    );
    world.written();
    world.restart();
    world.advance(30);
    assert_eq!(world.written(), []);
}

#[test]
fn slices_of_other_controllers_are_left_alone() {
    let mut world = World::new(1);
    world.ready_app("hello");
    let now = world.now;
    let theirs = world
        .api
        .put_slice(built_in_slice("someone.example/else"), now);
    world.index.apply(theirs);
    world.advance(30);
    assert_eq!(world.written(), []);
}

#[test]
fn a_service_deleted_by_hand_comes_back_with_its_port_and_slices() {
    let mut world = World::new(2);
    world.ready_app("hello");
    let port = world.status("hello").port;
    for gone in world.api.delete_service(&key("hello")) {
        gone(&mut world.index);
    }
    world.advance(30);
    assert!(world.is_ready("hello"));
    assert_eq!(world.ready_nodes("hello").len(), 2);
    assert_eq!(world.status("hello").port, port);
}

#[test]
fn a_service_that_the_api_server_refuses_is_said_so_and_tried_again() {
    let mut world = World::new(1);
    world.ready_app("hello");
    let now = world.now;
    world.edit("hello", |app| app.spec.service.port = 81);
    world.index.take_dirty();
    world
        .index
        .write_refused(&key("hello"), "Service", "port 81 is reserved", now);
    world.advance(10);
    assert_eq!(world.says("hello", "Ready"), "False/ServiceRejected");
    assert_eq!(
        world.condition("hello", "Ready").unwrap().message,
        "port 81 is reserved"
    );
    assert_eq!(world.kinds_written().get("Service"), None);
    world.advance(60);
    assert_eq!(spec(&world).ports.unwrap()[0].port, 81);
    assert!(world.is_ready("hello"));
}

#[test]
fn a_tampered_port_is_repaired_and_never_shared() {
    let mut world = World::new(2);
    world.ready_app("first");
    world.advance(10);
    world.ready_app("second");
    let (first, second) = (world.status("first").port, world.status("second").port);
    assert_ne!(first, second);
    let mut app = world.api.apps[&key("second")].clone();
    app.status.as_mut().unwrap().port = first;
    let app = world.api.put_app(app, world.now);
    world.index.apply(app);
    world.advance(30);
    assert_eq!(
        world.status("second").port,
        second,
        "while it is known, it is repaired"
    );

    let mut app = world.api.apps[&key("second")].clone();
    app.status.as_mut().unwrap().port = first;
    world.api.apps.insert(key("second"), app);
    world.restart();
    world.advance(30);
    assert_eq!(
        world.status("first").port,
        first,
        "after a restart the older App keeps it"
    );
    assert_ne!(world.status("second").port, first);
    assert!(world.is_ready("first") && world.is_ready("second"));
}
