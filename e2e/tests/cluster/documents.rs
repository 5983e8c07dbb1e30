//! What the documentation says, done as it is written there.

use std::fs;

use serde_json::json;
use shoal_e2e::{LONG, Namespace, SYSTEM, commands, delete, image, json as object, run, until};

use crate::classes::{self, PASSWORD};
use crate::parts;
use crate::transfer::until_served;

#[test]
fn an_app_moves_from_the_embedded_store_to_postgres_and_keeps_everything() {
    until_served();
    let namespace = Namespace::new("movers");
    let app = namespace
        .app("guestbook", &image("kv"))
        .with("replicas", json!(3));
    app.apply().ready();
    for n in 0..50 {
        assert_eq!(app.get(1 + n % 3, &format!("/set/key-{n}/{n}")).status, 200);
    }
    let (server, class) = classes::postgres("unused");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.pem"), server.ca()).unwrap();
    let name = format!("moved-{}", std::process::id());
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
        assert_eq!(answer.body.trim(), n.to_string(), "{answer:?}");
    }
    let held = server.sql("SELECT count(*) FROM shoal_kv");
    assert_eq!(held.trim(), "50");
    assert_eq!(app.get(1, "/set/new/since").status, 200);

    let rest = [
        page[0].clone(),
        format!("source {}", folder.path().join("names").display()),
        later,
    ];
    run(&rest, folder.path());
    until("the App to have its Store by itself", LONG, || {
        let stores = app.object()["status"]["stores"].clone();
        if stores[0]["className"] == name.as_str() {
            Ok(())
        } else {
            Err(stores)
        }
    });
    app.ready();
    assert_eq!(app.get(2, "/get/new").body.trim(), "since");
    assert_eq!(app.get(3, "/get/key-7").body.trim(), "7");
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

#[test]
fn the_embedded_store_is_restored_from_its_backup() {
    let namespace = Namespace::new("backup");
    let app = namespace.app("kept", &image("kv"));
    app.apply().ready();
    assert_eq!(app.get(1, "/set/before/there").status, 200);
    let page = commands("how-to/back-up-the-embedded-store.md");
    let [back_up, restore] = page.as_slice() else {
        panic!("{page:?}")
    };
    let folder = tempfile::tempdir().unwrap();
    run(std::slice::from_ref(back_up), folder.path());
    assert_eq!(app.get(1, "/set/before/changed").status, 200);
    assert_eq!(app.get(1, "/set/after/new").status, 200);
    run(std::slice::from_ref(restore), folder.path());
    parts::wait_until_ready("shoal-store", 1);
    until("the app to read again", LONG, || {
        let answer = app.get(2, "/get/before");
        if answer.status == 200 && answer.body.trim() == "there" {
            Ok(())
        } else {
            Err(answer)
        }
    });
    assert_ne!(app.get(3, "/get/after").body.trim(), "new");
    let stores = fs::read_to_string(folder.path().join("stores.yaml")).unwrap();
    assert!(stores.contains("kept-default"));
}
