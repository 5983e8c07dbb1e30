//! SQL databases: one for all nodes, which outlives the store pod.

use std::thread;

use serde_json::{Value, json};
use shoal_e2e::{App, LONG, Namespace, image, json as object, kubectl, until};

use crate::parts;

fn store(app: &App) -> Option<Value> {
    let name = format!("{}-default-sql", app.name());
    object(&["-n", app.namespace(), "stores.shoal.dev", &name])
}

fn count(app: &App, node: u8) -> u64 {
    let answer = app.get(node, "/count");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body.trim().parse().expect("a number")
}

#[test]
fn three_nodes_count_into_one_database_that_outlives_the_store_pod() {
    let namespace = Namespace::new("sql");
    let app = namespace
        .app("counter", &image("sqlite"))
        .with("replicas", json!(3));
    app.apply().ready();
    let counted: Vec<u64> = thread::scope(|scope| {
        let app = &app;
        let nodes = [1, 2, 3]
            .map(|node| scope.spawn(move || (0..20).map(|_| count(app, node)).collect::<Vec<_>>()));
        nodes
            .into_iter()
            .flat_map(|node| node.join().expect("it counted"))
            .collect()
    });
    let mut sorted = counted.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=60).collect::<Vec<u64>>(), "{counted:?}");

    let before = store(&app).expect("the Store is there");
    assert_eq!(before["spec"]["interface"], "Sql");
    until("its bytes to be counted", LONG, || {
        let status = store(&app).map(|store| store["status"].clone());
        let status = status.unwrap_or_default();
        if status["bytes"].as_u64() > Some(0) && status["keys"].is_null() {
            Ok(())
        } else {
            Err(status)
        }
    });

    parts::replace_all("shoal-store");
    until("the count to go on", LONG, || {
        let answer = app.get(2, "/count");
        if answer.status == 200 {
            Ok(answer)
        } else {
            Err(answer)
        }
    });
    // A call whose answer was lost may have counted.
    assert!(count(&app, 3) > 61, "nothing that was answered is lost");
}

#[test]
fn a_database_that_is_to_go_is_gone_with_its_store() {
    let namespace = Namespace::new("sqlgoes");
    let app = namespace.app("counter", &image("sqlite"));
    app.apply().ready();
    assert_eq!(count(&app, 1), 1);
    let name = format!("{}-default-sql", app.name());
    let wanted = json!({"spec": {"reclaimPolicy": "Delete"}}).to_string();
    let place = ["-n", namespace.name(), "stores.shoal.dev", &name];
    kubectl(&[&["patch", "--type=merge", "-p", &wanted], &place[..]].concat());
    until("the Store to be held for its data", LONG, || {
        let store = store(&app).unwrap_or_default();
        if store["metadata"]["finalizers"].is_array() {
            Ok(())
        } else {
            Err(store)
        }
    });
    app.delete();
    kubectl(&[&["delete", "--wait=false"], &place[..]].concat());
    until("the Store to go with its data", LONG, || {
        store(&app).map_or(Ok(()), Err)
    });
    app.apply().ready();
    assert_eq!(count(&app, 1), 1, "it begins anew");
}
