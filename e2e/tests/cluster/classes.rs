//! What a label means is decided by StoreClasses, once, and stays decided.

use std::{collections::BTreeSet, thread};

use serde_json::{Value, json};
use shoal_e2e::{
    Answer, App, Class, LONG, Namespace, Postgres, Redis, get, get_all, image, json as object,
    kubectl, until,
};

use crate::told;

pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// A Postgres with a role for Shoal, and a class that leads to it.
pub(crate) fn postgres(name: &str) -> (Postgres, Class) {
    let server = Postgres::start();
    server.role("shoal", PASSWORD);
    let url = server.url("shoal", PASSWORD);
    let class = Class::with_secret(name, "postgres", &url, Some(server.ca()));
    (server, class)
}

/// Name of the class that the Store of an App's label `default` has.
fn class_of(app: &App) -> String {
    let name = format!("{}-default", app.name());
    let store = object(&["-n", app.namespace(), "stores.shoal.dev", &name]).expect("a Store");
    let class = store["spec"]["className"].as_str();
    class.expect("a Store has a class").to_owned()
}

fn value(app: &App, node: u8, key: &str) -> String {
    let answer = app.get(node, &format!("/get/{key}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body.trim().to_owned()
}

#[test]
fn a_new_default_is_for_new_apps_and_old_ones_keep_their_data() {
    let namespace = Namespace::new("defaults");
    let old = namespace.app("old", &image("kv"));
    old.apply().ready();
    assert_eq!(old.get(1, "/set/kept/precious").status, 200);

    let (server, class) = postgres("main");
    let class = class.with("default", json!(true));
    class.apply();
    let bound = old.wait_for("StoresBound", "True", LONG);
    until("the App to say that there is another default", LONG, || {
        let bound = old.wait_for("StoresBound", "True", LONG);
        let message = bound["message"].as_str().unwrap_or_default();
        if message.contains(class.name()) {
            Ok(())
        } else {
            Err(bound)
        }
    });
    assert_eq!(bound["status"], "True");
    old.ready();
    assert_eq!(class_of(&old), "embedded");

    let fresh = namespace
        .app("fresh", &image("kv"))
        .with("replicas", json!(3));
    fresh.apply().ready();
    assert_eq!(class_of(&fresh), class.name());
    one_counter_for_all_replicas(&fresh);
    assert_ne!(
        server.sql("SELECT count(*) FROM shoal_kv"),
        "0",
        "it is in Postgres"
    );
    class.wait_for("Ready", "True", &[]);
    old.delete();
    old.apply().ready();
    assert_eq!(value(&old, 2, "kept"), "precious");
    nobody_tells(PASSWORD);
}

/// Each of three nodes asks each of three replicas, all at the same time, and then the Service: each
/// increment counts once, and every number is given once.
fn one_counter_for_all_replicas(app: &App) {
    const EACH: usize = 20;
    let replicas = app.ready_endpoints();
    let nodes: BTreeSet<&String> = replicas.iter().map(|(node, _)| node).collect();
    assert_eq!((replicas.len(), nodes.len()), (3, 3), "{replicas:?}");
    let port = app.port();
    let ways = (1..=3).flat_map(|node| {
        let increment = |(_, address): &(String, String)| {
            let url = format!("http://{address}:{port}/incr/visits");
            (node, vec![url; EACH])
        };
        replicas.iter().map(increment).collect::<Vec<_>>()
    });
    let ways: Vec<_> = ways.collect();
    let answers: Vec<Answer> = thread::scope(|scope| {
        let asking: Vec<_> = ways
            .iter()
            .map(|(node, urls)| scope.spawn(|| get_all(*node, urls)))
            .collect();
        let answers = asking.into_iter().map(|one| one.join().unwrap());
        answers.flatten().collect()
    });
    let mut counted: Vec<usize> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, 200, "{answer:?}");
            answer.body.trim().parse().expect("a number")
        })
        .collect();
    counted.sort_unstable();
    assert_eq!(counted, (1..=9 * EACH).collect::<Vec<_>>());
    for node in 1..=3 {
        let through_the_service = app.get(node, "/incr/visits");
        assert_eq!(through_the_service.status, 200, "{through_the_service:?}");
    }
    let total = (9 * EACH + 3).to_string();
    for answer in app.get_from_each_replica("/get/visits") {
        assert_eq!(answer.body.trim(), total);
    }
}

/// No object that people read, no log and no metric holds a secret.
pub(crate) fn nobody_tells(secret: &str) {
    let kinds =
        "apps.shoal.dev,stores.shoal.dev,storeclasses.shoal.dev,events,configmaps,pods,services";
    let objects = kubectl(&["get", kinds, "-A", "-o", "yaml"]);
    assert!(!objects.contains(secret), "an object holds the password");
    for (place, text) in told::by_the_parts() {
        assert!(!text.contains(secret), "{place} holds the password");
    }
}

#[test]
fn each_namespace_has_the_default_of_its_selector() {
    let [one, two, three] = ["one", "two", "three"].map(Namespace::new);
    let (_postgres, relational) = postgres("relational");
    let relational = relational.default_of(&[&one]);
    let redis = Redis::start(PASSWORD);
    let quick =
        Class::with_secret("quick", "redis", &redis.url(PASSWORD), None).default_of(&[&two]);
    relational.apply();
    quick.apply();
    let expected = [
        (&one, relational.name()),
        (&two, quick.name()),
        (&three, "embedded"),
    ];
    let apps = expected.map(|(namespace, class)| {
        let app = namespace.app("same", &image("kv"));
        app.apply().ready();
        assert_eq!(class_of(&app), class);
        assert_eq!(app.get(1, &format!("/set/who/{class}")).status, 200);
        app
    });
    for (app, (_, class)) in apps.iter().zip(expected) {
        assert_eq!(value(app, 2, "who"), class);
        assert_eq!(
            app.get(3, "/keys").body.trim(),
            "who",
            "its own key and no other"
        );
    }
    nobody_tells(PASSWORD);
}

#[test]
fn two_defaults_of_one_rank_are_an_error_on_all_and_never_a_guess() {
    let namespace = Namespace::new("tie");
    let bound = namespace.app("bound", &image("kv"));
    bound.apply().ready();
    let [left, right] = ["left", "right"]
        .map(|name| Class::new(name, json!({"memory": {}})).default_of(&[&namespace]));
    left.apply();
    right.apply();
    left.wait_for("Conflict", "True", &[right.name()]);
    right.wait_for("Conflict", "True", &[left.name()]);
    let torn = namespace.app("torn", &image("kv"));
    torn.apply();
    torn.wait_for_reason(
        "StoresBound",
        "False",
        "AmbiguousDefault",
        &[left.name(), right.name()],
    );
    bound.ready();

    drop(right);
    torn.ready();
    assert_eq!(class_of(&torn), left.name());
    assert_eq!(class_of(&bound), "embedded");
}

#[test]
fn a_store_is_chosen_by_class_and_shared_by_name() {
    let namespace = Namespace::new("chosen");
    let memory = Class::new("memory", json!({"memory": {}}));
    memory.apply();
    let first = namespace.app("first", &image("kv")).with(
        "stores",
        json!([{"label": "default", "class": memory.name()}]),
    );
    first.apply().ready();
    assert_eq!(class_of(&first), memory.name());
    let second = namespace.app("second", &image("kv")).with(
        "stores",
        json!([{"label": "default", "store": "first-default"}]),
    );
    second.apply().ready();
    assert_eq!(first.get(1, "/set/seen/by-both").status, 200);
    for node in 1..=3 {
        assert_eq!(value(&second, node, "seen"), "by-both");
    }
    until("both users to be named", LONG, || {
        let store = object(&["-n", namespace.name(), "stores.shoal.dev", "first-default"]);
        let used = store.unwrap_or_default()["status"]["usedBy"].clone();
        if used == json!(["first", "second"]) {
            Ok(())
        } else {
            Err(used)
        }
    });
}

#[test]
fn a_full_store_says_so_to_the_guest_and_in_one_event_for_all_nodes() {
    let namespace = Namespace::new("limits");
    let class = Class::new("small", json!({"memory": {}}))
        .with("limits", json!({"keys": 2}))
        .default_of(&[&namespace]);
    class.apply();
    let names = ["full", "last-on-1", "last-on-2", "last-on-3"];
    let apps = names.map(|name| {
        let app = namespace.app(name, &image("kv")).with("replicas", json!(3));
        app.apply();
        app
    });
    for app in &apps {
        app.ready();
        for key in ["a", "b"] {
            assert_eq!(app.get(1, &format!("/set/{key}/1")).status, 200);
        }
    }
    let [full, last @ ..] = &apps;
    let refused = full.get_from_each_replica("/set/c/1");
    assert_eq!(refused.len(), 3, "{refused:?}");
    for answer in refused {
        assert_eq!(answer.status, 500);
        assert!(answer.body.contains("limit of 2"), "{answer:?}");
    }
    // What a node tells, the operator hears in its order: after an Event of what a node told last, it has
    // heard what that node told before.
    for (n, app) in last.iter().enumerate() {
        let (_, address) = app.ready_endpoints().swap_remove(n);
        let refused = get(1, &format!("http://{address}:{}/set/c/1", app.port()));
        assert_eq!(refused.status, 500, "{refused:?}");
    }
    for app in last {
        until("an event on the App", LONG, || match refusals_told(app) {
            0 => Err("none"),
            _ => Ok(()),
        });
    }
    assert_eq!(refusals_told(full), 1);

    assert_eq!(full.get(2, "/delete/a").status, 200);
    assert_eq!(full.get(3, "/set/c/1").status, 200);
}

/// How many Events tell of an App that its Store ran into a limit.
fn refusals_told(app: &App) -> usize {
    let events = object(&["-n", app.namespace(), "events.v1.events.k8s.io"]);
    let events = events.unwrap_or_default()["items"].clone();
    let of_the_app = |event: &&Value| {
        event["reason"] == "StoreLimitReached" && event["regarding"]["name"] == app.name()
    };
    events
        .as_array()
        .into_iter()
        .flatten()
        .filter(of_the_app)
        .count()
}
