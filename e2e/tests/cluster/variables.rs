//! Values from Secrets and ConfigMaps: they reach guests, also when they change, and stay out of sight.

use std::time::Instant;

use serde_json::json;
use shoal_e2e::{
    App, LONG, Load, Namespace, Target, apply, delete, image, json as object, kubectl, until,
};

use crate::told;

fn secret(namespace: &Namespace, name: &str, key: &str, value: &str) {
    let manifest = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace.name()},
        "stringData": {key: value},
    });
    apply(&manifest.to_string());
}

/// The ways to one variable.
const WAYS: [&str; 4] = [
    "/variables/token",
    "/config/token",
    "/draft/token",
    "/rc/token",
];

/// Waits until every replica answers `path` with `value`. How soon the operator reads what changed is tested with its
/// schedule: here a busy machine may take its time.
fn everywhere(app: &App, replicas: usize, path: &str, value: &str) {
    let what = format!("{path} to be {value} everywhere");
    until(&what, LONG, || {
        let answers = app.get_from_each_replica(path);
        let as_wanted = answers
            .iter()
            .all(|answer| answer.status == 200 && answer.body.trim() == value);
        if as_wanted && answers.len() == replicas {
            Ok(())
        } else {
            Err(answers)
        }
    });
}

fn targets(app: &App, path: &str) -> Vec<Target> {
    let replicas = app.ready_endpoints().into_iter();
    replicas
        .map(|(_, address)| Target {
            address: format!("{address}:{}", app.port())
                .parse()
                .expect("an address"),
            host: format!("{}.{}", app.name(), app.namespace()),
            path: path.into(),
        })
        .collect()
}

/// What every part tells, statuses of the namespace's Apps, and Events: what people see.
fn all_that_is_seen(namespace: &Namespace) -> String {
    let parts = told::by_the_parts().into_iter().map(|(_, text)| text);
    let own = ["-n", namespace.name(), "get", "-o", "yaml"];
    let objects = [
        "apps.shoal.dev",
        "events.v1.events.k8s.io",
        "services",
        "endpointslices",
    ]
    .map(|kind| kubectl(&[&own[..], &[kind]].concat()));
    parts.chain(objects).collect()
}

#[test]
fn a_changed_secret_reaches_every_replica_without_a_restart_or_a_failed_request() {
    let namespace = Namespace::new("variables");
    let (before, after) = ("s3cr3t-before-71c0", "s3cr3t-after-93fa");
    secret(&namespace, "db", "password", before);
    let from = json!({"secretKeyRef": {"name": "db", "key": "password"}});
    let app = namespace
        .app("reader", &image("variables"))
        .with("replicas", json!(3))
        .with("variables", json!([{"name": "token", "valueFrom": from}]))
        .with("env", json!([{"name": "TOKEN", "valueFrom": from}]));
    app.apply().ready();
    for path in WAYS.iter().chain(&["/env/TOKEN"]) {
        everywhere(&app, 3, path, before);
    }
    let revision = app.object()["status"]["revision"].clone();
    let load = Load::start(3, &targets(&app, "/variables/token"));

    secret(&namespace, "db", "password", after);
    let changed = Instant::now();
    everywhere(&app, 3, "/variables/token", after);
    // The documentation says 15 s. A busy machine may take longer.
    println!(
        "a changed Secret was everywhere after {:.1?}",
        changed.elapsed()
    );
    // A node's values change all at once.
    for path in WAYS.iter().chain(&["/env/TOKEN"]) {
        for answer in app.get_from_each_replica(path) {
            assert_eq!(answer.body.trim(), after, "{path}");
        }
    }
    for path in ["/draft", "/rc"] {
        everywhere(&app, 3, path, &format!("token={after}"));
    }

    for report in load.stop() {
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        let bodies: Vec<&str> = report.bodies.iter().map(|body| body.trim()).collect();
        assert_eq!(bodies, [before, after], "a node changes once");
    }
    assert_eq!(
        app.object()["status"]["revision"],
        revision,
        "no new revision"
    );
    app.ready();
    let seen = all_that_is_seen(&namespace);
    for value in [before, after] {
        // `spec` names the Secret; nothing names its value.
        assert!(!seen.contains(value), "{value} can be read");
    }

    delete(&["-n", namespace.name(), "secret", "db"]);
    app.wait_for_reason(
        "Ready",
        "True",
        "LastValuesKept",
        &["Secret `db`", "`TOKEN`"],
    );
    everywhere(&app, 3, "/variables/token", after);
    secret(&namespace, "db", "password", before);
    everywhere(&app, 3, "/variables/token", before);
    app.wait_for_reason("Ready", "True", "AllNodesReady", &[]);
}

#[test]
fn an_app_that_declares_variables_says_which_one_it_lacks_and_fills_its_templates() {
    let namespace = Namespace::new("declared");
    let app = namespace.app("configured", &image("configured"));
    app.apply();
    app.wait_for_reason(
        "Ready",
        "False",
        "VariableMissing",
        &["`reader`", "`token`"],
    );

    let from = json!({"configMapKeyRef": {"name": "settings", "key": "token"}});
    let app = app.with("variables", json!([{"name": "token", "valueFrom": from}]));
    app.apply();
    app.wait_for_reason("Ready", "False", "ValueNotFound", &["ConfigMap `settings`"]);
    let settings = |token: &str| {
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "settings", "namespace": namespace.name()},
            "data": {"token": token},
        });
        apply(&map.to_string());
    };
    settings("first");
    app.ready();
    everywhere(&app, 2, "/variables/url", "db://first@db.example/");
    let hidden = app.get(1, "/variables/token");
    assert_eq!(
        hidden.status, 404,
        "{hidden:?}: a component sees its own variables"
    );
    settings("second");
    for path in ["/variables/url", "/config/url", "/draft/url", "/rc/url"] {
        everywhere(&app, 2, path, "db://second@db.example/");
    }
}

#[test]
fn the_api_server_refuses_what_cannot_be_meant_and_explains_the_rest() {
    let namespace = Namespace::new("refused");
    let app = namespace.app("odd", &image("variables"));
    let both = json!({"secretKeyRef": {"name": "a", "key": "b"}, "configMapKeyRef": {"name": "a", "key": "b"}});
    let from = json!({"secretKeyRef": {"name": "a", "key": "b"}});
    for (field, value, words) in [
        (
            "variables",
            json!([{"name": "a"}]),
            "exactly one of `value` and `valueFrom`",
        ),
        (
            "variables",
            json!([{"name": "a", "value": "", "valueFrom": from}]),
            "exactly one of `value`",
        ),
        (
            "variables",
            json!([{"name": "a", "valueFrom": both}]),
            "exactly one of `secretKeyRef`",
        ),
        (
            "env",
            json!([{"name": "a", "value": "b", "valueFrom": from}]),
            "at most one of `value`",
        ),
        (
            "envFrom",
            json!([{"prefix": "a"}]),
            "exactly one of `secretRef`",
        ),
    ] {
        let outcome = app.clone().with(field, value).try_apply();
        assert!(!outcome.ok, "{field} was taken");
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
    assert!(object(&["-n", namespace.name(), "apps.shoal.dev", "odd"]).is_none());

    let explain = ["explain", "--api-version=shoal.dev/v1alpha1"];
    let explained = kubectl(&[&explain[..], &["app.spec.variables.valueFrom"]].concat());
    for words in ["A key of a Secret of this namespace", "configMapKeyRef"] {
        assert!(explained.contains(words), "{explained}");
    }
}
