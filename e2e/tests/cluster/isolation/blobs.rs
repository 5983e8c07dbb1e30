//! Objects.

use serde_json::json;
use shoal_e2e::{App, Class, Namespace, S3, get_all, image};

use super::{TREASURE, ask, each, id, labels, names, own_names_are_distinct, refused};

const STORE: &str = "victim-default-blob";
const SECRET: &str = "bucket-horse-battery";

fn is_whole(victim: &App, after: &str) {
    let answers = get_all(1, &["/get/secret", "/list"].map(|path| victim.url(path)));
    let bodies: Vec<&str> = answers.iter().map(|answer| answer.body.trim()).collect();
    assert_eq!(bodies, [TREASURE, "1: secret"], "after {after}");
}

fn attack(thief: &App, victim: &App) {
    let id = id(victim, STORE);
    let names = names(&id);
    let unfound = ["get", "info", "has", "copy", "move"];
    for call in unfound {
        let path = match call {
            "copy" | "move" => format!("/{call}/{{name}}/stolen"),
            _ => format!("/{call}/{{name}}"),
        };
        for (name, answer) in names.iter().zip(ask(thief, 2, &each(&names, &path))) {
            let found = answer.status == 200 && answer.body.trim() != "false";
            assert!(!found, "{call} {name}: {answer:?}");
        }
    }
    let written = ask(thief, 2, &each(&names, "/put/{name}?content=mine-{n}"));
    let read = ask(thief, 2, &each(&names, "/get/{name}"));
    own_names_are_distinct(thief, &written, &read);
    ask(thief, 2, &each(&names, "/copy/secret/{name}"));
    is_whole(victim, "the writes");

    let labels = labels(STORE, &id);
    for path in [
        "/get/secret?container={name}",
        "/list?container={name}",
        "/put/secret?container={name}&content=mine",
        "/copy/secret/stolen?container={name}&to=default",
        "/move/secret/stolen?container={name}&to=default",
        "/copy/secret/secret?to={name}",
        "/move/secret/secret?to={name}",
        "/delete/secret?container={name}",
        "/clear?container={name}",
        "/create?container={name}",
        "/remove?container={name}",
    ] {
        refused(thief, 3, &each(&labels, path));
    }
    for answer in ask(thief, 3, &each(&labels, "/exists?container={name}")) {
        assert_ne!(answer.body.trim(), "true");
    }
    ask(thief, 2, &each(&names, "/delete/{name}"));
    assert_eq!(thief.get(2, "/clear").status, 200);
    is_whole(victim, "the deletions");
}

/// A victim and a thief whose objects are in Stores of this class.
fn play(class: &str) {
    let namespace = Namespace::new("thief-blob");
    let [victim, thief] = ["victim", "thief"].map(|name| {
        let named = json!([{"label": "default", "interface": "Blob", "class": class}]);
        let app = namespace.app(name, &image("blobs")).with("stores", named);
        app.apply();
        app
    });
    let kept = victim
        .ready()
        .get(1, &format!("/put/secret?content={TREASURE}"));
    assert_eq!(kept.status, 200, "{kept:?}");
    assert_eq!(thief.ready().get(2, "/list").body.trim(), "1:");
    attack(&thief, &victim);
}

#[test]
fn no_name_and_no_container_reaches_a_neighbours_files() {
    play("embedded");
}

#[test]
fn no_name_and_no_container_reaches_a_neighbours_part_of_a_bucket() {
    let Some(server) = S3::start(SECRET) else {
        return;
    };
    let (endpoint, bucket) = (server.endpoint(), server.bucket());
    let class = Class::of_bucket("bucket", &endpoint, bucket, server.key(), SECRET);
    play(class.apply().name());
}
