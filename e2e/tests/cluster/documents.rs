//! What the documentation says, done as it is written there.

use std::fs;

use serde_json::{Value, json};
use shoal_e2e::{
    App, LONG, Namespace, SYSTEM, blocks, commands, delete, image, json as object, kubectl, pages,
    run, try_kubectl, until,
};

use crate::classes::{self, PASSWORD};
use crate::parts;
use crate::transfer::until_served;

#[test]
fn an_app_moves_from_the_embedded_store_to_postgres_and_keeps_everything() {
    until_served();
    let namespace = Namespace::new("movers");
    let app = namespace
        .app("guestbook", &image("kv"))
        .with("replicas", json!(3))
        .with("stores", json!([{"label": "cache", "class": "embedded"}]));
    app.apply().ready();
    let asked = app.object()["spec"]["stores"].clone();
    let name = format!("moved-{}", std::process::id());
    let value = |n: u8| format!("{name}-{n}");
    for n in 0..50 {
        let set = format!("/set/key-{n}/{}", value(n));
        assert_eq!(app.get(1 + n % 3, &set).status, 200);
    }
    assert!(embedded_store_has(&value(7)));
    let (server, class) = classes::postgres("unused");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.pem"), server.ca()).unwrap();
    let mut page = commands("how-to/move-to-postgres.md");
    // The first block is what a reader sets.
    page[0] = format!(
        "NAMESPACE={}\nAPP=guestbook\nCLASS={name}\nDATABASE_URL='{}'\nDATABASE_CA=ca.pem",
        namespace.name(),
        server.url("shoal", PASSWORD)
    );
    let later = page.pop().unwrap();
    page.push(format!(
        "declare -p OLD NEW > {}",
        folder.path().join("names").display()
    ));
    run(&page, folder.path());
    app.ready();
    for n in 0..50 {
        let answer = app.get(1 + n % 3, &format!("/get/key-{n}"));
        assert_eq!(answer.body.trim(), value(n), "{answer:?}");
    }
    let held = server.sql("SELECT count(*) FROM shoal_kv");
    assert_eq!(held.trim(), "50");
    assert_eq!(app.get(1, "/set/new/since").status, 200);
    assert!(embedded_store_has(&value(7)), "nothing is lost on the way");

    let rest = [
        page[0].clone(),
        format!("source {}", folder.path().join("names").display()),
        later,
    ];
    run(&rest, folder.path());
    assert!(!embedded_store_has(&value(7)), "its rows go with the Store");
    until("the App to have its Store by itself", LONG, || {
        let stores = app.object()["status"]["stores"].clone();
        let of_class = |one: &Value| one["label"] == "default" && one["className"] == name.as_str();
        if stores
            .as_array()
            .is_some_and(|all| all.iter().any(of_class))
        {
            Ok(())
        } else {
            Err(stores)
        }
    });
    app.ready();
    assert_eq!(app.object()["spec"]["stores"], asked);
    assert_eq!(app.get(2, "/get/new").body.trim(), "since");
    assert_eq!(app.get(3, "/get/key-7").body.trim(), value(7));
    assert!(
        object(&[
            "-n",
            namespace.name(),
            "stores.shoal.dev",
            "guestbook-default"
        ])
        .is_none()
    );
    drop((namespace, class));
    delete(&["-n", SYSTEM, "secret", &name]);
    delete(&["storeclasses.shoal.dev", &name, "--wait=false"]);
}

/// Whether any row on the volume of the store pod has this text in it. A backup holds what rows hold, without what is
/// left over of others.
fn embedded_store_has(text: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let page = commands("how-to/back-up-the-embedded-store.md");
    run(&page[..1], folder.path());
    let archive = fs::read(folder.path().join("embedded.tar")).unwrap();
    let text = text.as_bytes();
    archive.windows(text.len()).any(|window| window == text)
}

/// One App for each kind of data that is on the volume of the store pod.
struct Keepers {
    keys: App,
    database: App,
    objects: App,
}

impl Keepers {
    fn of(namespace: &Namespace) -> Self {
        let label = json!([{"label": "default", "interface": "Blob", "class": "embedded"}]);
        let objects = namespace.app("objects", &image("blobs"));
        let all = Self {
            keys: namespace.app("kept", &image("kv")),
            database: namespace.app("counted", &image("sqlite")),
            objects: objects.with("stores", label),
        };
        for app in [&all.keys, &all.database, &all.objects] {
            app.apply();
        }
        for app in [&all.keys, &all.database, &all.objects] {
            app.ready();
        }
        all
    }

    fn write(&self, value: &str) {
        assert_eq!(self.keys.get(1, &format!("/set/kept/{value}")).status, 200);
        assert_eq!(self.keys.get(1, &format!("/set/of-{value}/1")).status, 200);
        assert_eq!(self.database.get(1, "/count").status, 200);
        let put = format!("/put/kept?content={value}");
        assert_eq!(self.objects.get(1, &put).status, 200);
    }

    /// Waits until everything is as it was after the first [`write`](Self::write). Counting changes the
    /// database: it is as of then again when it says `next`.
    fn until_as_after(&self, value: &str) {
        until("the apps to read again", LONG, || {
            let answers = [
                self.keys.get(2, "/get/kept"),
                self.keys.get(2, "/keys"),
                self.objects.get(2, "/get/kept"),
                self.database.get(2, "/connections/1"),
            ];
            let bodies = answers
                .each_ref()
                .map(|answer| answer.body.trim().to_owned());
            if bodies == [value, &format!("kept\nof-{value}"), value, "1"] {
                Ok(())
            } else {
                Err(bodies)
            }
        });
        let next = self.database.get(3, "/count");
        assert_eq!((next.status, next.body.trim()), (200, "2"));
    }
}

#[test]
fn the_embedded_store_is_restored_from_its_backup_also_on_a_new_volume() {
    let namespace = Namespace::new("backup");
    let keepers = Keepers::of(&namespace);
    keepers.write("first");
    let page = commands("how-to/back-up-the-embedded-store.md");
    let [back_up, stop, new_volume, fill] = page.as_slice() else {
        panic!("{page:?}")
    };
    let folder = tempfile::tempdir().unwrap();
    run(std::slice::from_ref(back_up), folder.path());
    keepers.write("second");
    run(&[stop.clone(), fill.clone()], folder.path());
    parts::wait_until_ready("shoal-store", 1);
    keepers.until_as_after("first");

    keepers.write("third");
    let lost = volume();
    run(
        &[stop.clone(), new_volume.clone(), fill.clone()],
        folder.path(),
    );
    parts::wait_until_ready("shoal-store", 1);
    assert_ne!(volume(), lost);
    keepers.until_as_after("first");
    let stores = fs::read_to_string(folder.path().join("stores.yaml")).unwrap();
    for store in [
        "kept-default",
        "counted-default-sql",
        "objects-default-blob",
    ] {
        assert!(stores.contains(store), "{store}");
    }
    // The cluster has few volumes, and the next test wants one too.
    let free = json!({"spec": {"claimRef": null}}).to_string();
    kubectl(&["patch", "pv", &lost, "--type=merge", "-p", &free]);
}

/// The volume that the store pod has.
fn volume() -> String {
    let claim = ["-n", SYSTEM, "get", "pvc", "state-shoal-store-0", "-o"];
    kubectl(&[&claim[..], &["jsonpath={.spec.volumeName}"]].concat())
}

#[test]
fn every_example_of_the_pages_is_taken_by_the_api_server() {
    let namespace = Namespace::new("examples");
    let pages = ["stores", "how-to"].map(pages).concat();
    let mut examples = 0;
    for page in pages {
        for block in blocks(&page, "yaml") {
            // The API server asks for a namespace that is there.
            let place = format!("namespace: {}", namespace.name());
            let block = block.replace("namespace: shop", &place);
            let outcome = try_kubectl(&["apply", "--dry-run=server", "-f", "-"], &block);
            assert!(outcome.ok, "{page}: {}\n{block}", outcome.stderr);
            examples += 1;
        }
    }
    assert!(examples > 8, "{examples}");
}
