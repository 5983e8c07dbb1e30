//! A value outlives whatever wrote it.

use shoal_e2e::{App, Namespace, image, json};

use crate::parts;

fn every_replica_has(app: &App, value: &str) {
    let answers = app.get_from_each_replica("/get/kept");
    assert_eq!(answers.len(), 2, "both replicas answer");
    for answer in answers {
        assert_eq!((answer.status, answer.body.trim()), (200, value));
    }
}

#[test]
fn a_value_outlives_every_pod_and_the_app_itself() {
    let namespace = Namespace::new("stores");
    let app = namespace.app("keeper", &image("kv"));
    app.apply().ready();
    assert_eq!(app.get(1, "/set/kept/precious").status, 200);
    every_replica_has(&app, "precious");

    for part in ["shoal-runtime", "shoal-store", "shoal-operator"] {
        parts::replace_all(part);
        app.ready();
        shoal_e2e::until("two ready endpoints", shoal_e2e::LONG, || {
            let ready = app.ready_endpoints();
            if ready.len() == 2 { Ok(()) } else { Err(ready) }
        });
        every_replica_has(&app, "precious");
    }

    let store = json(&["-n", namespace.name(), "stores.shoal.dev", "keeper-default"]);
    let id = store.expect("the Store is there")["spec"]["id"].clone();
    app.delete();
    let store = json(&["-n", namespace.name(), "stores.shoal.dev", "keeper-default"]);
    assert_eq!(store.expect("the Store outlives its App")["spec"]["id"], id);
    app.apply().ready();
    every_replica_has(&app, "precious");
}

#[test]
fn the_store_moves_to_another_node_with_its_data() {
    let namespace = Namespace::new("moving");
    let app = namespace.app("keeper", &image("kv"));
    app.apply().ready();
    assert_eq!(app.get(1, "/set/kept/precious").status, 200);
    let before = parts::pods("shoal-store").remove(0).node;
    let cordoned = parts::Cordoned::new(&before);
    parts::replace_all("shoal-store");
    assert_ne!(parts::pods("shoal-store").remove(0).node, before);
    drop(cordoned);
    every_replica_has(&app, "precious");
}

#[test]
fn every_key_value_interface_reaches_the_same_default_store_semantics() {
    let namespace = Namespace::new("interfaces");
    for guest in ["kv", "kv-draft", "kv-spin", "kv-spin-v1", "kv-spin-v3"] {
        let app = namespace.app(guest, &image(guest));
        app.apply().ready();
        assert_eq!(app.get(1, "/set/a/1").status, 200, "{guest}");
        assert_eq!(app.get(2, "/get/a").body.trim(), "1", "{guest}");
        assert_eq!(app.get(3, "/keys").body.trim(), "a", "{guest}");
        assert_eq!(app.get(1, "/delete/a").status, 200, "{guest}");
        assert_eq!(app.get(2, "/keys").body.trim(), "", "{guest}");
    }
}

#[test]
fn apps_of_every_generation_of_spins_toolchain_count_their_requests() {
    let namespace = Namespace::new("generations");
    for guest in ["spin-sdk-5", "spin-sdk-6", "spin-sdk-7"] {
        let app = namespace.app(guest, &image(guest));
        app.apply().ready();
        assert_eq!(app.get(1, "/count").body, "1", "{guest}");
        assert_eq!(app.get(2, "/count").body, "2", "{guest}");
    }
}

#[test]
fn increments_through_every_replica_at_once_are_all_counted() {
    let namespace = Namespace::new("counting");
    let app = namespace
        .app("counter", &image("kv"))
        .with("replicas", serde_json::json!(3));
    app.apply().ready();
    std::thread::scope(|scope| {
        for node in 1..=3 {
            let app = &app;
            scope.spawn(move || {
                for _ in 0..10 {
                    assert_eq!(app.get(node, "/incr/visits").status, 200);
                }
            });
        }
    });
    assert_eq!(app.get(1, "/get/visits").body.trim(), "30");
}
