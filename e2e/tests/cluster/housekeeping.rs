//! What Stores hold, and what becomes of it when their Apps go.

use serde_json::{Value, json};
use shoal_e2e::{App, LONG, Namespace, image, json as get, kubectl, try_kubectl, until};

use crate::parts;

const OPERATOR: [&str; 4] = ["-n", "shoal-system", "deployments.apps", "shoal-operator"];

/// An operator that keeps data of deleted Apps for a short time. Dropping it brings back the usual one.
struct Grace {
    args: Value,
}

impl Grace {
    fn of(time: &str) -> Self {
        let object = get(&OPERATOR).expect("the operator is there");
        let args = object["spec"]["template"]["spec"]["containers"][0]["args"].clone();
        let mut with = args.as_array().cloned().unwrap_or_default();
        with.push(json!(format!("--store-delete-grace={time}")));
        set_args(&json!(with));
        parts::wait_until_ready("shoal-operator", 2);
        Self { args }
    }
}

impl Drop for Grace {
    fn drop(&mut self) {
        set_args(&self.args);
    }
}

fn set_args(args: &Value) {
    let path = "/spec/template/spec/containers/0/args";
    let op = if args.is_null() { "remove" } else { "add" };
    let patch = json!([{"op": op, "path": path, "value": args}]).to_string();
    let (namespace, object) = OPERATOR.split_at(2);
    kubectl(
        &[
            namespace,
            &["patch"],
            object,
            &["--type=json", "-p", &patch],
        ]
        .concat(),
    );
    kubectl(
        &[
            namespace,
            &["rollout", "status", "deployment/shoal-operator"],
        ]
        .concat(),
    );
}

fn store(app: &App) -> Option<Value> {
    let name = format!("{}-default", app.name());
    get(&["-n", app.namespace(), "stores.shoal.dev", &name])
}

/// Waits until the Store of the App is as `is` says.
fn until_store(app: &App, what: &str, is: impl Fn(Option<&Value>) -> bool) {
    let what = format!("the Store of {} {what}", app.name());
    until(&what, LONG, || {
        let store = store(app);
        if is(store.as_ref()) {
            Ok(())
        } else {
            Err(store)
        }
    });
}

fn deletes(app: &App) {
    let name = format!("stores.shoal.dev/{}-default", app.name());
    let patch = json!({"spec": {"reclaimPolicy": "Delete"}}).to_string();
    let patch = ["patch", &name, "--type=merge", "-p", &patch];
    kubectl(&[&["-n", app.namespace()], &patch[..]].concat());
    until_store(app, "is held by its finalizer", |store| {
        store.is_some_and(|store| store["metadata"]["finalizers"] == json!(["shoal.dev/data"]))
    });
}

#[test]
fn what_stores_hold_shows_in_kubectl() {
    let namespace = Namespace::new("usage");
    let app = namespace.app("counted", &image("kv"));
    app.apply().ready();
    for key in ["a", "b", "c"] {
        assert_eq!(app.get(1, &format!("/set/{key}/12345")).status, 200);
    }
    until_store(&app, "says what it holds", |store| {
        store.is_some_and(|store| store["status"]["keys"] == 3 && store["status"]["bytes"] == 18)
    });
    let table = kubectl(&["-n", namespace.name(), "get", "stores"]);
    assert!(table.contains("KEYS") && table.contains("BYTES"), "{table}");
    assert_eq!(app.get(2, "/delete/a").status, 200);
    until_store(&app, "says that it holds less", |store| {
        store.is_some_and(|store| store["status"]["keys"] == 2 && store["status"]["bytes"] == 12)
    });
}

#[test]
fn data_that_is_to_go_goes_after_the_grace_and_not_before() {
    let _grace = Grace::of("45s");
    let namespace = Namespace::new("reclaim");
    let apps = ["goes", "returns", "stays"].map(|name| namespace.app(name, &image("kv")));
    for app in &apps {
        app.apply().ready();
        assert_eq!(app.get(1, "/set/key/precious").status, 200);
    }
    let [goes, returns, stays] = &apps;
    deletes(goes);
    deletes(returns);
    for app in &apps {
        app.delete();
    }
    for app in [goes, returns] {
        until_store(app, "says when its data goes", |store| {
            store.is_some_and(|store| store["status"]["deleteAt"].is_string())
        });
    }
    returns.apply().ready();
    assert_eq!(returns.get(2, "/get/key").body.trim(), "precious");
    until_store(returns, "has forgotten about it", |store| {
        store.is_some_and(|store| store["status"]["deleteAt"].is_null())
    });
    until_store(goes, "is gone", |store| store.is_none());
    assert_eq!(returns.get(1, "/get/key").body.trim(), "precious");
    stays.apply().ready();
    assert_eq!(stays.get(1, "/get/key").body.trim(), "precious");
    goes.apply().ready();
    assert_ne!(goes.get(1, "/get/key").body.trim(), "precious");
}

#[test]
fn a_namespace_goes_once_the_data_that_goes_with_it_is_gone() {
    let name = {
        let namespace = Namespace::new("again");
        let app = namespace.app("keeper", &image("kv"));
        app.apply().ready();
        assert_eq!(app.get(1, "/set/key/precious").status, 200);
        deletes(&app);
        namespace.name().to_owned()
    };
    until(
        "the namespace is gone, its data with it",
        LONG,
        || match get(&["namespaces", &name]) {
            None => Ok(()),
            Some(object) => Err(object["status"].to_string()),
        },
    );
    assert!(!try_kubectl(&["get", "namespace", &name], "").ok);
}
