//! What Stores hold, and what becomes of it when their Apps go.

use serde_json::{Value, json};
use shoal_e2e::{App, LONG, Namespace, Postgres, image, json as get, kubectl, try_kubectl, until};

use crate::{classes, parts};

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

/// What a database holds of the Store of an App.
struct Rows<'a> {
    server: &'a Postgres,
    count: String,
}

impl<'a> Rows<'a> {
    fn of(app: &App, server: &'a Postgres) -> Self {
        let id = store(app).expect("a Store")["spec"]["id"].clone();
        let id = id.as_str().expect("it is bound");
        let count = ["shoal_kv", "shoal_usage"].map(|table| {
            format!("(SELECT count(DISTINCT store) FROM {table} WHERE store = '{id}'::uuid)")
        });
        let count = format!("SELECT {}", count.join(" || ' ' || "));
        assert_eq!(server.sql(&count), "1 1");
        Self { server, count }
    }

    /// Waits until they are gone, and proves that they were there until then.
    fn go_when_their_time_has_come(&self, app: &App) {
        let status = store(app).expect("its data is there")["status"].clone();
        let at = status["deleteAt"]
            .as_str()
            .expect("it says when")
            .to_owned();
        until("the rows to be gone", LONG, || {
            let count = self.server.sql(&self.count);
            // The clock is read after the rows: what is gone before its time is gone by then.
            let early = self
                .server
                .sql(&format!("SELECT now() < '{at}'::timestamptz"));
            match (count.as_str(), early.as_str()) {
                ("1 1", _) => Err(count),
                (_, "t") => panic!("before {at} there is only {count}"),
                ("0 0", _) => Ok(()),
                _ => Err(count),
            }
        });
        until_store(app, "is gone", |store| store.is_none());
    }
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
    let (server, class) = classes::postgres("reclaimed");
    let class = class.with("reclaimPolicy", json!("Delete"));
    class.apply();
    let rows = namespace.app("rows", &image("kv")).with(
        "stores",
        json!([{"label": "default", "class": class.name()}]),
    );
    let [goes, returns, stays] =
        ["goes", "returns", "stays"].map(|name| namespace.app(name, &image("kv")));
    let apps = [&goes, &returns, &stays, &rows];
    for app in apps {
        app.apply().ready();
        assert_eq!(app.get(1, "/set/key/precious").status, 200);
    }
    deletes(&goes);
    deletes(&returns);
    let held = Rows::of(&rows, &server);
    for app in apps {
        app.delete();
    }
    for app in [&goes, &returns, &rows] {
        until_store(app, "says when its data goes", |store| {
            store.is_some_and(|store| store["status"]["deleteAt"].is_string())
        });
    }
    returns.apply().ready();
    assert_eq!(returns.get(2, "/get/key").body.trim(), "precious");
    until_store(&returns, "has forgotten about it", |store| {
        store.is_some_and(|store| store["status"]["deleteAt"].is_null())
    });
    held.go_when_their_time_has_come(&rows);
    until_store(&goes, "is gone", |store| store.is_none());
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
