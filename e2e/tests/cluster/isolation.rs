//! A guest tries to reach a neighbour's keys: by every name, through every interface, in every backend.

use serde_json::json;
use shoal_e2e::{App, Class, Namespace, Redis, image, json as object};

use crate::classes::{self, PASSWORD};

/// Every key-value interface has a guest that speaks it.
const GUESTS: [&str; 5] = ["kv", "kv-draft", "kv-spin", "kv-spin-v1", "kv-spin-v3"];

/// Keys that might lead to the key `secret` of the Store `id`, percent-encoded.
fn keys(id: &str) -> Vec<String> {
    let mut keys: Vec<String> = [
        "secret",
        "*",
        "%25",
        "_ecret",
        "secre%3F",
        "%5Bs%5Decret",
        "secret%00",
        "%00secret",
        "SECRET",
        "se%CC%81cret",
        "%EF%BD%93ecret",
        "'%20OR%20'1'='1",
        "%27%3B%20SELECT%20value%20FROM%20shoal_kv%20--",
        "victim-default%2Fsecret",
        "thief%2F..%2Fvictim%2Fsecret",
        "..%2F..%2Fsecret",
    ]
    .map(str::to_owned)
    .into();
    for between in ["", ":", "%2F", "%00", "%7D:", ".", "%20", "%0A", "%1F"] {
        keys.push(format!("{id}{between}secret"));
    }
    keys.push(format!("..%2F{id}%2Fsecret"));
    keys.push(format!("shoal:%7B{id}%7D:values"));
    keys.push("s".repeat(1000));
    keys
}

fn attack(thief: &App, id: &str) {
    for key in keys(id) {
        for path in [format!("/get/{key}"), format!("/exists/{key}")] {
            let answer = thief.get(2, &path);
            assert!(
                !answer.body.contains("of-the-victim") && answer.body.trim() != "true",
                "{} {path}: {answer:?}",
                thief.name()
            );
        }
    }
    for label in [id, "victim-default", "victim/default", "*", "../victim", ""] {
        let answer = thief.get(3, &format!("/get/secret?label={label}"));
        assert_ne!(answer.status, 200, "{} {label}: {answer:?}", thief.name());
    }
    assert_eq!(thief.get(1, "/keys").body.trim(), "", "{}", thief.name());
}

#[test]
fn no_name_reaches_a_neighbours_keys_through_any_interface_in_any_backend() {
    let (_postgres, relational) = classes::postgres("shared");
    let redis = Redis::start(PASSWORD);
    let quick = Class::with_secret("quick", "redis", &redis.url(PASSWORD), None);
    let memory = Class::new("memory", json!({"memory": {}}));
    for class in [Some(&relational), Some(&quick), Some(&memory), None] {
        let namespace = Namespace::new("thief");
        if let Some(class) = class {
            class.apply();
        }
        let of_class = |name: &str, guest: &str| {
            let app = namespace.app(name, &image(guest));
            match class {
                Some(class) => {
                    let named = json!([{"label": "default", "class": class.name()}]);
                    app.with("stores", named)
                }
                None => app,
            }
        };
        let victim = of_class("victim", "kv");
        victim.apply().ready();
        assert_eq!(victim.get(1, "/set/secret/of-the-victim").status, 200);
        let store = object(&["-n", namespace.name(), "stores.shoal.dev", "victim-default"]);
        let store = store.expect("the victim's Store");
        let id = store["spec"]["id"].as_str().expect("it is bound");
        for guest in GUESTS {
            let thief = of_class(&format!("thief-{guest}"), guest);
            thief.apply().ready();
            attack(&thief, id);
        }
        assert_eq!(victim.get(1, "/get/secret").body.trim(), "of-the-victim");
    }
}
