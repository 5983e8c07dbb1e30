//! What cannot run says so: the exact condition, reason and name, and no ready endpoint.

use serde_json::json;
use shoal_e2e::{App, LONG, Namespace, apply, cluster, delete, image, push_bytes, try_kubectl};

use crate::parts::RegistryAway;

/// The App is refused as it should be, then becomes Ready once its image is a good one.
fn refused_then_mended(app: App, type_: &str, reason: &str, words: &[&str]) {
    app.apply();
    app.wait_for_reason(type_, "False", reason, words);
    app.wait_for("Ready", "False", LONG);
    assert!(
        app.ready_endpoints().is_empty(),
        "an app that cannot run has no ready endpoint"
    );
    app.with("image", json!(image("hello"))).apply().ready();
}

#[test]
fn an_image_that_does_not_exist() {
    let namespace = Namespace::new("missing");
    let reference = format!("{}/e2e/nobody-made-this:1", cluster().registry());
    let app = namespace.app("missing", &reference);
    refused_then_mended(app, "ImageResolved", "ImageNotFound", &[&reference]);
}

#[test]
fn a_reference_that_is_none() {
    let namespace = Namespace::new("reference");
    let app = namespace.app("unreadable", "https://not/a/Reference:::");
    refused_then_mended(
        app,
        "ImageResolved",
        "InvalidImageReference",
        &["https://not/a/Reference:::"],
    );
}

#[test]
fn a_pull_secret_that_does_not_open_the_registry() {
    let namespace = Namespace::new("secret");
    let registry = cluster().private_registry();
    let pool = json!({
        "apiVersion": "shoal.dev/v1alpha1", "kind": "RuntimePool", "metadata": {"name": "default"},
        "spec": {"registries": {"insecure": [cluster().registry(), registry]}},
    });
    apply(&pool.to_string());
    let created = try_kubectl(
        &[
            "-n",
            namespace.name(),
            "create",
            "secret",
            "docker-registry",
            "pull",
            "--docker-server",
            &registry,
            "--docker-username",
            "somebody",
            "--docker-password",
            "wrong",
        ],
        "",
    );
    assert!(created.ok, "{}", created.stderr);
    let reference = format!("{registry}/e2e/private:1");
    let app = namespace
        .app("locked", &reference)
        .with("imagePullSecrets", json!([{"name": "pull"}]));
    refused_then_mended(app, "ImageResolved", "ImagePullUnauthorized", &[&reference]);
}

#[test]
fn a_pull_secret_that_does_not_exist() {
    let namespace = Namespace::new("nosecret");
    let app = namespace
        .app("keyless", &image("hello"))
        .with("imagePullSecrets", json!([{"name": "nowhere"}]));
    app.apply();
    app.wait_for_reason("ImageResolved", "False", "PullSecretInvalid", &["nowhere"]);
    app.with("imagePullSecrets", json!([])).apply().ready();
}

#[test]
fn a_registry_that_is_down() {
    let namespace = Namespace::new("down");
    let app = namespace.app("patient", &image("hello"));
    let away = RegistryAway::take();
    app.apply();
    app.wait_for_reason(
        "ImageResolved",
        "False",
        "RegistryUnavailable",
        &[&cluster().registry()],
    );
    drop(away);
    app.ready();
}

#[test]
fn bytes_that_are_no_webassembly() {
    let namespace = Namespace::new("garbage");
    let reference = push_bytes(b"#!/bin/sh\necho no\n", "garbage", "1");
    refused_then_mended(
        namespace.app("garbage", &reference),
        "Built",
        "InvalidWasm",
        &["first bytes"],
    );
}

#[test]
fn a_module_that_is_cut_off() {
    let namespace = Namespace::new("cut");
    let whole = std::fs::read(shoal_guests::path(
        std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")),
        "hello",
    ))
    .expect("the guest is built");
    let reference = push_bytes(&whole[..whole.len() / 2], "cut", "1");
    refused_then_mended(
        namespace.app("cut", &reference),
        "Built",
        "InvalidWasm",
        &["its end is missing"],
    );
}

#[test]
fn an_interface_that_is_not_implemented() {
    let namespace = Namespace::new("unknown");
    let app = namespace.app("unknown", &image("unknown-import"));
    refused_then_mended(app, "Built", "UnsupportedImport", &["acme:widgets/"]);
}

#[test]
fn no_handler_exported() {
    let namespace = Namespace::new("handler");
    let app = namespace.app("command", &image("no-handler"));
    refused_then_mended(app, "Built", "NoHandler", &["wasi:http/incoming-handler"]);
}

#[test]
fn a_label_without_a_store() {
    let namespace = Namespace::new("label");
    let app = namespace.app("labelled", &image("label"));
    refused_then_mended(app, "StoresBound", "NoStoreForLabel", &["orders"]);
}

#[test]
fn a_compile_that_never_ends() {
    let namespace = Namespace::new("endless");
    let reference = push_bytes(&shoal_guests::huge_component(64), "huge", "1");
    let app = namespace.app("huge", &reference);
    app.apply();
    let condition = app.wait_for("Built", "False", LONG * 3);
    let reason = condition["reason"].as_str().unwrap_or_default().to_owned();
    assert!(
        ["CompileTimeout", "CompileLimitExceeded"].contains(&&*reason),
        "{condition}"
    );
    app.with("image", json!(image("hello"))).apply().ready();
}

#[test]
fn a_name_that_is_no_rfc_1035_label() {
    let namespace = Namespace::new("names");
    for name in ["1st", "with.dot"] {
        let refused = namespace.app(name, &image("hello")).try_apply();
        assert!(!refused.ok);
        assert!(refused.stderr.contains("RFC 1035"), "{}", refused.stderr);
    }
    let long = "a".repeat(64);
    assert!(!namespace.app(&long, &image("hello")).try_apply().ok);
}

#[test]
fn fields_out_of_their_bounds() {
    let namespace = Namespace::new("bounds");
    let app = |field: &str, value| namespace.app("bounds", &image("hello")).with(field, value);
    for refused in [
        app("replicas", json!(-1)),
        app("image", json!("")),
        app("image", json!("two words")),
        app(
            "components",
            json!([{"name": "a", "image": "b", "routes": ["/..."]}]),
        ),
        app("service", json!({"port": 0})),
        app("service", json!({"type": "ExternalName"})),
        app(
            "service",
            json!({"labels": {"kubernetes.io/service-name": "other"}}),
        ),
        app("limits", json!({"memory": "lots"})),
        app("limits", json!({"idle": "30"})),
        app("limits", json!({"concurrency": 0})),
        app("env", json!([{"name": "a=b", "value": ""}])),
    ] {
        let outcome = refused.try_apply();
        assert!(!outcome.ok, "accepted: {}", refused.manifest());
    }
    delete(&["-n", namespace.name(), "apps.shoal.dev", "bounds"]);
}
