//! What a label means is the platform team's decision.

use serde_json::{Value, json};
use shoal_e2e::{
    LONG, Namespace, SHORT, apply, condition, image, json as get, kubectl, try_kubectl, until,
};

/// A StoreClass of a test, which goes when it ends.
struct Class(String);

impl Class {
    fn new(name: &str, spec: &Value) -> Self {
        apply(&manifest(name, spec).to_string());
        Self(name.to_owned())
    }

    fn object(&self) -> Option<Value> {
        get(&["storeclasses.shoal.dev", &self.0])
    }

    /// Waits until a condition has this status and reason.
    fn says(&self, type_: &str, status: &str, reason: &str) {
        let what = format!(
            "StoreClass {} to be {type_}={status}, reason={reason}",
            self.0
        );
        until(&what, LONG, || {
            let object = self.object().unwrap_or_default();
            match condition(&object, type_) {
                Some(found) if found["status"] == status && found["reason"] == reason => Ok(()),
                _ => Err(object["status"].to_string()),
            }
        });
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        try_kubectl(
            &[
                "delete",
                "storeclasses.shoal.dev",
                &self.0,
                "--ignore-not-found",
                "--wait=false",
            ],
            "",
        );
    }
}

fn manifest(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "shoal.dev/v1alpha1", "kind": "StoreClass",
        "metadata": {"name": name}, "spec": spec,
    })
}

fn memory(more: &Value) -> Value {
    let mut spec = json!({"backend": {"memory": {}}});
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    spec
}

#[test]
fn what_makes_no_sense_is_refused_with_what_to_do() {
    let secret = json!({"secretKeyRef": {"name": "pg", "key": "url"}});
    let class = |backend: Value| manifest("odd", &json!({"backend": backend}));
    let embedded = manifest("embedded", &json!({"backend": {"memory": {}}}));
    let app = json!({
        "apiVersion": "shoal.dev/v1alpha1", "kind": "App",
        "metadata": {"name": "odd", "namespace": "default"},
        "spec": {"image": "a", "stores": [{"label": "default", "class": "a", "store": "b"}]},
    });
    let refused = [
        (class(json!({})), "exactly one of"),
        (class(json!({"redis": null})), "exactly one of"),
        (
            class(json!({"memory": {}, "embedded": {}})),
            "exactly one of",
        ),
        (
            class(json!({"postgres": {"urlFrom": secret, "prefix": "Shop"}})),
            "prefix",
        ),
        (embedded, "give another backend another name"),
        (app, "exactly one of"),
    ];
    for (object, words) in refused {
        let outcome = try_kubectl(&["apply", "-f", "-"], &object.to_string());
        assert!(!outcome.ok, "{object} was accepted");
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
}

#[test]
fn where_data_is_cannot_be_changed_under_it() {
    let class = Class::new("e2e-fixed", &memory(&json!({})));
    let other = manifest(&class.0, &json!({"backend": {"embedded": {}}}));
    let patch = json!({"spec": {"backend": {"memory": null, "embedded": {}}}}).to_string();
    for outcome in [
        try_kubectl(&["replace", "--force=false", "-f", "-"], &other.to_string()),
        try_kubectl(
            &[
                "patch",
                "storeclasses.shoal.dev",
                &class.0,
                "--type=merge",
                "-p",
                &patch,
            ],
            "",
        ),
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
fn each_namespace_has_its_own_default_and_who_is_bound_stays() {
    let (one, two) = (Namespace::new("one"), Namespace::new("two"));
    let before = one.app("before", &image("kv"));
    before.apply().ready();
    assert_eq!(before.get(1, "/set/kept/here").status, 200);

    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": one.name()}});
    let spec = memory(&json!({"default": true, "namespaceSelector": selector}));
    let class = Class::new("e2e-own", &spec);
    let class_of = |app: &shoal_e2e::App| app.object()["status"]["stores"][0]["className"].clone();
    for (namespace, expected) in [(&one, class.0.as_str()), (&two, "embedded")] {
        let fresh = namespace.app("fresh", &image("kv"));
        fresh.apply().ready();
        assert_eq!(class_of(&fresh), expected);
        assert_eq!(fresh.get(1, "/incr/visits").status, 200);
        assert_eq!(fresh.get(2, "/get/visits").body.trim(), "1");
    }
    class.says("Ready", "True", "Reachable");
    let words = ["`before-default`", "`embedded`", class.0.as_str()];
    before.wait_for_reason("StoresBound", "True", "Bound", &words);
    before.ready();
    assert_eq!(before.get(2, "/get/kept").body.trim(), "here");

    // It is not deleted under the Store that it has.
    kubectl(&["delete", "storeclasses.shoal.dev", &class.0, "--wait=false"]);
    class.says("InUse", "True", "StoresRemain");
    one.app("fresh", &image("kv")).delete();
    kubectl(&[
        "-n",
        one.name(),
        "delete",
        "stores.shoal.dev",
        "fresh-default",
    ]);
    until("the class to be gone", SHORT, || match class.object() {
        None => Ok(()),
        Some(object) => Err(object["status"].to_string()),
    });
}

#[test]
fn a_tie_is_told_on_both_classes_and_on_the_app_and_is_never_guessed() {
    let namespace = Namespace::new("tie");
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace.name()}});
    let spec = memory(&json!({"default": true, "namespaceSelector": selector}));
    let (one, two) = (
        Class::new("e2e-tie-1", &spec),
        Class::new("e2e-tie-2", &spec),
    );
    let app = namespace.app("torn", &image("kv"));
    app.apply();
    app.wait_for_reason(
        "StoresBound",
        "False",
        "AmbiguousDefault",
        &["`e2e-tie-1`", "`e2e-tie-2`", "`default`"],
    );
    one.says("Conflict", "True", "AmbiguousDefault");
    two.says("Conflict", "True", "AmbiguousDefault");
    drop(two);
    app.ready();
    assert_eq!(app.object()["status"]["stores"][0]["className"], one.0);
}

#[test]
fn a_class_whose_secret_is_missing_says_which() {
    let secret = json!({"secretKeyRef": {"name": "e2e-nowhere", "key": "url"}});
    let class = Class::new(
        "e2e-keyless",
        &json!({"backend": {"redis": {"urlFrom": secret}}}),
    );
    class.says("Ready", "False", "SecretNotFound");
    let object = class.object().unwrap();
    let message = condition(&object, "Ready").unwrap()["message"].clone();
    assert!(
        message.as_str().unwrap().contains("`e2e-nowhere`"),
        "{message}"
    );
}
