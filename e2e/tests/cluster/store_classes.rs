//! StoreClasses as objects: what is refused, what cannot change, what they say of themselves.

use serde_json::{Value, json};
use shoal_e2e::{Class, Namespace, SHORT, image, kubectl, try_kubectl, until};

fn class(name: &str, backend: &Value) -> Value {
    json!({
        "apiVersion": "shoal.dev/v1alpha1", "kind": "StoreClass",
        "metadata": {"name": name}, "spec": {"backend": backend},
    })
}

#[test]
fn what_makes_no_sense_is_refused_with_what_to_do() {
    let secret = json!({"secretKeyRef": {"name": "pg", "key": "url"}});
    let bucket = json!({"s3": {
        "bucket": "apps", "credentialsFrom": {"secretRef": {"name": "objects"}},
    }});
    let server = |kind: &str| json!({kind: {"urlFrom": secret}});
    let of = |interface: &str, backend: &Value| {
        let mut class = class("odd", backend);
        class["spec"]["interface"] = json!(interface);
        class
    };
    let app = json!({
        "apiVersion": "shoal.dev/v1alpha1", "kind": "App",
        "metadata": {"name": "odd", "namespace": "default"},
        "spec": {"image": "a", "stores": [{"label": "default", "class": "a", "store": "b"}]},
    });
    let refused = [
        (class("odd", &json!({})), "exactly one of"),
        (class("odd", &json!({"redis": null})), "exactly one of"),
        (
            class("odd", &json!({"memory": {}, "embedded": {}})),
            "exactly one of",
        ),
        (
            class(
                "odd",
                &json!({"postgres": {"urlFrom": secret, "prefix": "Shop"}}),
            ),
            "prefix",
        ),
        (
            class("embedded", &json!({"memory": {}})),
            "give another backend another name",
        ),
        (app, "exactly one of"),
        (class("odd", &bucket), "say `interface: Blob`"),
        (of("KeyValue", &bucket), "say `interface: Blob`"),
        (of("Sql", &bucket), "in the backend `embedded` alone"),
        (
            of("Sql", &json!({"memory": {}})),
            "in the backend `embedded` alone",
        ),
        (
            of("Sql", &server("postgres")),
            "in the backend `embedded` alone",
        ),
        (
            of("Sql", &server("redis")),
            "in the backend `embedded` alone",
        ),
        (
            of("Blob", &json!({"memory": {}})),
            "`embedded` and `s3` alone",
        ),
        (of("Blob", &server("postgres")), "`embedded` and `s3` alone"),
        (of("Blob", &server("redis")), "`embedded` and `s3` alone"),
        (of("Files", &json!({"embedded": {}})), "Unsupported value"),
    ];
    for (object, words) in refused {
        let outcome = try_kubectl(&["apply", "-f", "-"], &object.to_string());
        assert!(!outcome.ok, "{object} was accepted");
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
}

#[test]
fn where_data_is_cannot_be_changed_under_it() {
    let fixed = Class::new("fixed", json!({"memory": {}}));
    fixed.apply();
    let other = class(fixed.name(), &json!({"embedded": {}})).to_string();
    let patch = json!({"spec": {"backend": {"memory": null, "embedded": {}}}}).to_string();
    let patched = [
        "patch",
        "storeclasses.shoal.dev",
        fixed.name(),
        "--type=merge",
        "-p",
        &patch,
    ];
    for outcome in [
        try_kubectl(&["replace", "--force=false", "-f", "-"], &other),
        try_kubectl(&patched, ""),
    ] {
        assert!(!outcome.ok);
        assert!(
            outcome.stderr.contains("cannot change"),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn what_says_where_data_is_cannot_be_changed() {
    let url = json!({"secretKeyRef": {"name": "nowhere", "key": "url"}});
    let bucket = json!({
        "bucket": "apps", "prefix": "a", "credentialsFrom": {"secretRef": {"name": "nowhere"}},
    });
    let relational = Class::new(
        "relational",
        json!({"postgres": {"urlFrom": url, "prefix": "a"}}),
    );
    let quick = Class::new("quick", json!({"redis": {"urlFrom": url}}));
    let objects = Class::new("objects", json!({"s3": bucket})).with("interface", json!("Blob"));
    let files = Class::new("files", json!({"embedded": {}}));
    let changes = [
        (
            &relational,
            json!({"backend": {"postgres": {"prefix": "b"}}}),
            "`prefix` says where",
        ),
        (
            &relational,
            json!({"backend": {"postgres": {"prefix": null}}}),
            "`prefix` says where",
        ),
        (
            &quick,
            json!({"backend": {"redis": {"prefix": "b"}}}),
            "`prefix` says where",
        ),
        (
            &objects,
            json!({"backend": {"s3": {"prefix": "b"}}}),
            "say where the data is",
        ),
        (
            &objects,
            json!({"backend": {"s3": {"bucket": "b"}}}),
            "say where the data is",
        ),
        (
            &objects,
            json!({"backend": {"s3": {"endpoint": "http://other:1"}}}),
            "say where the data is",
        ),
        (&objects, json!({"interface": null}), "interface"),
        (
            &files,
            json!({"interface": "Blob"}),
            "`interface` cannot change",
        ),
        (
            &files,
            json!({"interface": "Sql"}),
            "`interface` cannot change",
        ),
    ];
    for class in [&relational, &quick, &objects, &files] {
        class.apply();
    }
    for (class, change, words) in changes {
        let before = class.object()["spec"].clone();
        let patch = json!({"spec": change}).to_string();
        let patched = [
            "patch",
            "storeclasses.shoal.dev",
            class.name(),
            "--type=merge",
            "-p",
        ];
        let outcome = try_kubectl(&[&patched[..], &[&patch]].concat(), "");
        assert!(!outcome.ok, "{patch} was accepted");
        assert!(
            outcome.stderr.contains(words),
            "{patch}: {}",
            outcome.stderr
        );
        assert_eq!(class.object()["spec"], before);
    }
    // What does not say where data is can be changed.
    let limits = json!({"spec": {"limits": {"keys": 7}}}).to_string();
    kubectl(&[
        "patch",
        "storeclasses.shoal.dev",
        files.name(),
        "--type=merge",
        "-p",
        &limits,
    ]);
}

#[test]
fn a_class_is_not_deleted_under_the_stores_that_it_has() {
    let namespace = Namespace::new("inuse");
    let class = Class::new("wanted", json!({"memory": {}})).default_of(&[&namespace]);
    class.apply();
    let app = namespace.app("user", &image("kv"));
    app.apply().ready();
    class.wait_for("Ready", "True", &[]);
    let name = class.name();
    kubectl(&["delete", "storeclasses.shoal.dev", name, "--wait=false"]);
    class.wait_for("InUse", "True", &[]);
    app.ready();
    app.delete();
    let store = ["delete", "stores.shoal.dev", "user-default"];
    kubectl(&[&["-n", namespace.name()][..], &store].concat());
    until("the class to be gone", SHORT, || match class.object() {
        Value::Null => Ok(()),
        object => Err(object["status"].to_string()),
    });
}

#[test]
fn a_class_whose_secret_is_missing_says_which() {
    let secret = json!({"secretKeyRef": {"name": "nowhere", "key": "url"}});
    let class = Class::new("keyless", json!({"redis": {"urlFrom": secret}}));
    class.apply();
    let ready = class.wait_for("Ready", "False", &["`nowhere`"]);
    assert_eq!(ready["reason"], "SecretNotFound");
}
