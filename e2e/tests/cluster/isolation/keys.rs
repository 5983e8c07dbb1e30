//! Keys and values.

use std::thread;

use serde_json::json;
use shoal_e2e::{App, Class, Namespace, Redis, get_all, image};

use super::{TREASURE, ask, each, id, labels, names, own_names_are_distinct, refused};
use crate::classes::{self, PASSWORD};

/// What an interface has beside get, exists, set and delete.
#[derive(Clone, Copy)]
struct Can {
    /// What is asked of every name before it is set.
    beside: &'static [&'static str],
    /// What is asked of every name before it is deleted.
    last: &'static [&'static str],
}

const BATCHES: &[&str] = &["/set-many/{name}=mine", "/delete-many/{name}"];
const ATOMICS: Can = Can {
    beside: &[
        "/get-many/{name}",
        "/incr/{name}/7",
        "/cas/{name}/7/mine-{n}",
    ],
    last: BATCHES,
};
const INCREMENTS: Can = Can {
    beside: &["/get-many/{name}", "/incr/{name}/7"],
    last: BATCHES,
};
const NOTHING: Can = Can {
    beside: &[],
    last: &[],
};
/// Every key-value interface has a guest that speaks it.
const GUESTS: [(&str, Can); 5] = [
    ("kv", ATOMICS),
    ("kv-draft", INCREMENTS),
    ("kv-spin", NOTHING),
    ("kv-spin-v1", NOTHING),
    ("kv-spin-v3", NOTHING),
];
const STORE: &str = "victim-default";

fn is_whole(victim: &App, after: &str) {
    let paths = ["/get/secret", "/get/counter", "/keys"];
    let answers = get_all(1, &paths.map(|path| victim.url(path)));
    let bodies: Vec<&str> = answers.iter().map(|answer| answer.body.trim()).collect();
    assert_eq!(bodies, [TREASURE, "41", "counter\nsecret"], "after {after}");
}

fn attack(thief: &Thief, victim: &App) {
    let id = id(victim, STORE);
    let Thief { app, can } = thief;
    let who = app.name();
    let mut names = names(&id);
    names.push("counter".to_owned());
    let all = |pattern: &str| ask(app, 2, &each(&names, pattern));
    assert_eq!(app.get(2, "/keys").body.trim(), "", "{who}");
    for (name, answer) in names.iter().zip(all("/get/{name}")) {
        assert_ne!(answer.status, 200, "{who} {name}: {answer:?}");
    }
    for (name, answer) in names.iter().zip(all("/exists/{name}")) {
        assert_ne!(answer.body.trim(), "true", "{who} {name}: {answer:?}");
    }
    for path in can.beside {
        all(path);
    }
    let written = all("/set/{name}/mine-{n}");
    own_names_are_distinct(app, &written, &all("/get/{name}"));
    is_whole(victim, &format!("the writes of {who}"));
    for path in can.last {
        all(path);
    }
    all("/delete/{name}");
    let labels = labels(STORE, &id);
    for path in ["get/secret", "set/secret/mine", "delete/secret"] {
        refused(app, 3, &each(&labels, &format!("/{path}?label={{name}}")));
    }
    is_whole(victim, &format!("the deletions of {who}"));
}

struct Thief {
    app: App,
    can: Can,
}

/// A namespace with a victim and a thief for each interface, in Stores of one class.
struct Scene {
    _namespace: Namespace,
    victim: App,
    thieves: Vec<Thief>,
}

impl Scene {
    fn of(class: Option<&Class>) -> Self {
        let namespace = Namespace::new("thief");
        let named = class.map(|class| class.apply().name());
        let app = |name: &str, guest: &str| {
            let app = namespace.app(name, &image(guest));
            let app = match named {
                Some(class) => app.with("stores", json!([{"label": "default", "class": class}])),
                None => app,
            };
            app.apply();
            app
        };
        Self {
            victim: app("victim", "kv"),
            thieves: GUESTS
                .map(|(guest, can)| {
                    let app = app(&format!("thief-{guest}"), guest);
                    Thief { app, can }
                })
                .into(),
            _namespace: namespace,
        }
    }

    fn play(&self) {
        self.victim.ready();
        for (key, value) in [("secret", TREASURE), ("counter", "41")] {
            let answer = self.victim.get(1, &format!("/set/{key}/{value}"));
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        for thief in &self.thieves {
            thief.app.ready();
            attack(thief, &self.victim);
        }
    }
}

#[test]
fn no_name_reaches_a_neighbours_keys_through_any_interface_in_any_backend() {
    let (_postgres, relational) = classes::postgres("shared");
    let redis = Redis::start(PASSWORD);
    let quick = Class::with_secret("quick", "redis", &redis.url(PASSWORD), None);
    let memory = Class::new("memory", json!({"memory": {}}));
    let classes = [Some(&relational), Some(&quick), Some(&memory), None];
    let scenes = classes.map(Scene::of);
    thread::scope(|scope| {
        for scene in &scenes {
            scope.spawn(|| scene.play());
        }
    });
}
