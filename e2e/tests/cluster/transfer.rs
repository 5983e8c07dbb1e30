//! Data in and out of Stores by hand: who may, and what is told of it.

use serde_json::json;
use shoal_e2e::{App, LONG, Namespace, Outcome, Person, eventually, image, kubectl, shoal, until};

fn app(namespace: &Namespace, name: &str, keys: &[(&str, &str)]) -> App {
    let app = namespace.app(name, &image("kv"));
    app.apply().ready();
    for (key, value) in keys {
        assert_eq!(app.get(1, &format!("/set/{key}/{value}")).status, 200);
    }
    app
}

/// The API server asks the operator for what it offers first.
pub(crate) fn until_served() {
    until("the aggregated API to be available", LONG, || {
        let available = "jsonpath={.status.conditions[?(@.type=='Available')].status}";
        let name = "v1alpha1.runtime.shoal.dev";
        match kubectl(&["get", "apiservice", name, "-o", available]) {
            status if status == "True" => Ok(()),
            _ => Err(kubectl(&["get", "apiservice", name, "-o", "yaml"])),
        }
    });
}

fn stores(args: &[&str], input: &str) -> Outcome {
    shoal(&[&["stores"], args].concat(), input)
}

#[test]
fn entries_move_from_store_to_store() {
    until_served();
    let namespace = Namespace::new("moves");
    let from = app(&namespace, "from", &[("a", "1"), ("b", "2"), ("c", "3")]);
    let to = app(&namespace, "to", &[]);
    let place = ["-n", namespace.name()];
    let exported = stores(&[&["export", "from-default"], &place[..]].concat(), "");
    assert!(exported.ok, "{}", exported.stderr);
    assert_eq!(
        exported.stdout,
        "{\"key\":\"a\",\"value\":\"MQ==\"}\n{\"key\":\"b\",\"value\":\"Mg==\"}\n\
         {\"key\":\"c\",\"value\":\"Mw==\"}\n{\"keys\":3}\n"
    );
    let import = [&["import", "to-default"], &place[..]].concat();
    let imported = stores(&import, &exported.stdout);
    assert!(imported.ok, "{}", imported.stderr);
    for node in 1..=3 {
        assert_eq!(to.get(node, "/get/b").body.trim(), "2");
    }

    // What holds something is not written over unless one says so, and a text that was cut is known.
    assert_eq!(to.get(1, "/set/a/changed").status, 200);
    let again = stores(&import, &exported.stdout);
    assert!(
        !again.ok && again.stderr.contains("not empty"),
        "{}",
        again.stderr
    );
    assert_eq!(to.get(2, "/get/a").body.trim(), "changed");
    let over = [&import[..], &["--overwrite"]].concat();
    assert!(stores(&over, &exported.stdout).ok);
    assert_eq!(to.get(2, "/get/a").body.trim(), "1");
    let cut = exported.stdout.replace("{\"keys\":3}\n", "");
    let refused = stores(&over, &cut);
    assert!(
        !refused.ok && refused.stderr.contains("was cut"),
        "{}",
        refused.stderr
    );
    drop(from);
}

#[test]
fn rights_decide_and_an_event_tells() {
    until_served();
    let namespace = Namespace::new("rights");
    let _app = app(&namespace, "private", &[("secret", "42")]);
    let (reader, stranger) = (
        Person::new(&namespace, "reader"),
        Person::new(&namespace, "stranger"),
    );
    // Whoever edits the namespace reads no data by that.
    stranger.may("edit");
    reader.may("shoal-store-export");
    let export = [
        "stores",
        "export",
        "private-default",
        "-n",
        namespace.name(),
    ];
    let import = [
        "stores",
        "import",
        "private-default",
        "-n",
        namespace.name(),
    ];
    eventually("the right to count", LONG, || reader.shoal(&export, "").ok);
    let refused = stranger.shoal(&export, "");
    assert!(
        !refused.ok && refused.stderr.contains("cannot"),
        "{}",
        refused.stderr
    );
    assert!(!refused.stdout.contains("secret"));
    let refused = reader.shoal(&import, "{\"keys\":0}\n");
    assert!(
        !refused.ok && refused.stderr.contains("cannot"),
        "{}",
        refused.stderr
    );
    for person in [&reader, &stranger] {
        assert!(!person.shoal(&["stores", "orphans"], "").ok);
    }

    let told = format!("User {} read 1 keys", reader.user());
    until("an event on the Store", LONG, || {
        let events = kubectl(&["-n", namespace.name(), "get", "events", "-o", "wide"]);
        if events.contains(&told) && events.contains("Exported") {
            Ok(())
        } else {
            Err(events)
        }
    });
    let events = kubectl(&["-n", namespace.name(), "get", "events", "-o", "wide"]);
    assert!(!events.contains(&stranger.user()), "{events}");
}

#[test]
fn a_list_says_what_stores_hold_and_who_uses_them() {
    let namespace = Namespace::new("listed");
    let used = app(&namespace, "used", &[("a", "12345")]);
    let left = app(&namespace, "left", &[]);
    left.delete();
    until("the list to say it", LONG, || {
        let args = ["list", "-n", namespace.name(), "-o", "json"];
        let list = stores(&args, "");
        let rows: serde_json::Value = serde_json::from_str(&list.stdout).unwrap_or_default();
        let row = |name: &str| {
            let rows = rows.as_array().into_iter().flatten();
            rows.clone().find(|row| row["name"] == name).cloned()
        };
        let (Some(one), Some(other)) = (row("used-default"), row("left-default")) else {
            return Err(list);
        };
        let is = one["bytes"] == 6
            && one["usedBy"] == json!(["used"])
            && one["orphan"] == false
            && other["orphan"] == true
            && one["backend"] == "embedded";
        if is { Ok(()) } else { Err(list) }
    });
    let usage = stores(&["usage", "-n", namespace.name()], "");
    let last: Vec<&str> = usage
        .stdout
        .lines()
        .last()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    assert_eq!(last, [namespace.name(), "embedded", "2", "1", "6"]);
    drop(used);
}
