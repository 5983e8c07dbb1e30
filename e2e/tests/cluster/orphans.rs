//! Data whose namespace is gone: nobody finds it by chance, and it is not lost.

use serde_json::Value;
use shoal_e2e::{App, LONG, Namespace, image, json as object, kubectl, shoal, until};

use crate::transfer::until_served;

/// The orphan that was of this namespace.
fn orphan_of(namespace: &str) -> Value {
    until("its data is an orphan", LONG, || {
        let list = shoal(&["stores", "orphans", "-o", "json"], "");
        let orphans: Value = serde_json::from_str(&list.stdout).unwrap_or_default();
        let mut orphans = orphans.as_array().cloned().unwrap_or_default().into_iter();
        orphans
            .find(|orphan| orphan["store"]["namespace"] == namespace)
            .ok_or(list)
    })
}

/// A namespace with an app that wrote something, and is gone.
fn lost() -> String {
    let name = {
        let namespace = Namespace::new("lost");
        let app = namespace.app("keeper", &image("kv"));
        app.apply().ready();
        assert_eq!(app.get(1, "/set/key/precious").status, 200);
        namespace.name().to_owned()
    };
    until("the namespace is gone", LONG, || {
        match object(&["namespaces", &name]) {
            None => Ok(()),
            Some(object) => Err(object["status"].to_string()),
        }
    });
    name
}

fn keeper(namespace: &str) -> App {
    let app = App::new(namespace, "keeper", &image("kv"));
    app.apply().ready();
    app
}

#[test]
fn a_namespace_that_is_made_again_starts_empty_and_its_data_can_be_adopted() {
    until_served();
    let name = lost();
    kubectl(&["create", "namespace", &name]);
    let app = keeper(&name);
    assert_ne!(app.get(1, "/get/key").body.trim(), "precious");
    let orphan = orphan_of(&name);
    assert_eq!(orphan["status"]["keys"], 1);
    assert_eq!(orphan["store"]["app"], "keeper");
    let id = orphan["metadata"]["name"].as_str().unwrap().to_owned();

    // The fresh Store of the label is in the way: it is not taken over behind anybody's back.
    let adopt = ["stores", "adopt", &id, "-n", &name];
    let refused = shoal(&adopt, "");
    assert!(
        !refused.ok && refused.stderr.contains("is there already"),
        "{}",
        refused.stderr
    );
    let heir = Namespace::new("heir");
    let adopted = shoal(
        &["stores", "adopt", &id, "-n", heir.name(), "--app", "keeper"],
        "",
    );
    assert!(adopted.ok, "{}", adopted.stderr);
    let app = keeper(heir.name());
    assert_eq!(app.get(2, "/get/key").body.trim(), "precious");
    let again = shoal(&adopt, "");
    assert!(!again.ok, "it is a Store's now");
    kubectl(&["delete", "namespace", &name, "--wait=false"]);
}

#[test]
fn purged_data_is_gone_and_that_of_a_store_cannot_be_purged() {
    until_served();
    let name = lost();
    let id = orphan_of(&name)["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    // Whoever is asked has to name it.
    let refused = shoal(&["stores", "purge", &id], "yes\n");
    assert!(
        !refused.ok && refused.stderr.contains("nothing is removed"),
        "{}",
        refused.stderr
    );
    // A node may have it open for a moment yet.
    until("its data is removed", LONG, || {
        let typed = format!("{name}/keeper/default\n");
        let purged = shoal(&["stores", "purge", &id], &typed);
        if purged.ok { Ok(()) } else { Err(purged) }
    });
    let list = shoal(&["stores", "orphans"], "");
    assert!(!list.stdout.contains(&id), "{}", list.stdout);

    let namespace = Namespace::new("used");
    let app = keeper(namespace.name());
    assert_eq!(app.get(1, "/set/key/precious").status, 200);
    let store = object(&["-n", namespace.name(), "stores.shoal.dev", "keeper-default"]);
    let id = store.unwrap()["spec"]["id"].as_str().unwrap().to_owned();
    assert!(!shoal(&["stores", "purge", &id, "--yes"], "").ok);
    assert_eq!(app.get(2, "/get/key").body.trim(), "precious");
}
