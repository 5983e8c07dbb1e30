//! Kubernetes' own tools work on an App as people expect.

use serde_json::json;
use shoal_e2e::{LONG, Namespace, Writes, image, kubectl, settled, try_kubectl, until};

#[test]
fn kubectl_waits_explains_lists_and_scales() {
    let namespace = Namespace::new("manners");
    let app = namespace.app("polite", &image("hello"));
    app.apply();
    let n = ["-n", namespace.name()];
    kubectl(
        &[
            &n[..],
            &[
                "wait",
                "--for=condition=Ready",
                "apps.shoal.dev/polite",
                "--timeout=120s",
            ],
        ]
        .concat(),
    );

    let wide = kubectl(&[&n[..], &["get", "wapp", "-o", "wide"]].concat());
    let header = wide.lines().next().unwrap_or_default();
    for column in ["READY", "IMAGE", "URL", "AGE", "STORES", "NODES", "REASON"] {
        assert!(header.contains(column), "{wide}");
    }
    assert!(
        wide.contains("2/2") && wide.contains(&app.url("")),
        "{wide}"
    );

    let explained = kubectl(&["explain", "app.spec", "--api-version=shoal.dev/v1alpha1"]);
    for words in ["image", "OCI reference", "nodeSelector", "suspends the app"] {
        assert!(explained.contains(words), "{explained}");
    }

    kubectl(&[&n[..], &["scale", "apps.shoal.dev/polite", "--replicas=3"]].concat());
    until("three ready endpoints", LONG, || {
        let ready = app.ready_endpoints();
        if ready.len() == 3 { Ok(()) } else { Err(ready) }
    });
    kubectl(&[&n[..], &["scale", "apps.shoal.dev/polite", "--replicas=0"]].concat());
    app.wait_for_reason("Available", "False", "Suspended", &[]);
    app.wait_for_reason("Ready", "True", "Suspended", &[]);
    until("no ready endpoint", LONG, || {
        let ready = app.ready_endpoints();
        if ready.is_empty() { Ok(()) } else { Err(ready) }
    });
    kubectl(&[&n[..], &["scale", "apps.shoal.dev/polite", "--replicas=1"]].concat());
    app.ready();
    assert_eq!(app.get(1, "/").status, 200);
}

#[test]
fn a_second_field_manager_does_not_fight() {
    let namespace = Namespace::new("managers");
    let app = namespace.app("shared", &image("hello"));
    let applied = |manager: &str, manifest: &str| {
        let manager = format!("--field-manager={manager}");
        try_kubectl(&["apply", "--server-side", &manager, "-f", "-"], manifest)
    };
    let outcome = applied("gitops", &app.manifest());
    assert!(outcome.ok, "{}", outcome.stderr);
    app.ready();

    let annotated = json!({
        "apiVersion": "shoal.dev/v1alpha1", "kind": "App",
        "metadata": {
            "name": "shared", "namespace": namespace.name(),
            "annotations": {"team.example/contact": "a"},
        },
    });
    let outcome = applied("team", &annotated.to_string());
    assert!(outcome.ok, "{}", outcome.stderr);
    settled();
    let writes = Writes::from_now();
    let outcome = applied("gitops", &app.manifest());
    assert!(outcome.ok, "{}", outcome.stderr);
    settled();
    app.ready();
    assert_eq!(
        app.object()["metadata"]["annotations"]["team.example/contact"],
        "a"
    );
    assert_eq!(
        writes.in_namespace(namespace.name()),
        Vec::<String>::new(),
        "nothing that is ours changed"
    );
}
