//! What is ours, what is not, and what goes with an App.

use serde_json::json;
use shoal_e2e::{
    Namespace, SHORT, apply, condition, eventually, image, json, kubectl, try_kubectl, until,
};

#[test]
fn deleting_an_app_takes_service_slices_and_port_and_keeps_its_store() {
    let namespace = Namespace::new("deleted");
    let app = namespace.app("gone", &image("kv"));
    app.apply().ready();
    let (port, endpoints) = (app.port(), app.ready_endpoints());
    app.delete();

    eventually("the Service to go", SHORT, || {
        json(&["-n", namespace.name(), "service", "gone"]).is_none()
    });
    eventually("the slices to go", SHORT, || app.slices().is_empty());
    for (_, address) in endpoints {
        eventually("the port to close", SHORT * 2, || {
            shoal_e2e::get(1, &format!("http://{address}:{port}/")).status == 0
        });
    }
    assert!(json(&["-n", namespace.name(), "stores.shoal.dev", "gone-default"]).is_some());
}

#[test]
fn a_service_that_is_not_ours_is_left_as_it_is() {
    let namespace = Namespace::new("foreign");
    let foreign = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "taken", "namespace": namespace.name()},
        "spec": {"selector": {"app": "mine"}, "ports": [{"port": 9000}]},
    });
    apply(&foreign.to_string());
    let service = || json(&["-n", namespace.name(), "service", "taken"]).expect("a Service");
    let before = service();

    let app = namespace.app("taken", &image("hello"));
    app.apply();
    app.wait_for_reason("Ready", "False", "ServiceNameTaken", &["taken"]);
    assert_eq!(service(), before, "the foreign Service was changed");
    assert!(app.ready_endpoints().is_empty());

    kubectl(&["-n", namespace.name(), "delete", "service", "taken"]);
    app.ready();
}

#[test]
fn a_selector_that_someone_adds_is_removed_again() {
    let namespace = Namespace::new("selector");
    let app = namespace.app("bare", &image("hello"));
    app.apply().ready();
    let patch = r#"{"spec":{"selector":{"app":"intruder"}}}"#;
    kubectl(&[
        "-n",
        namespace.name(),
        "patch",
        "service",
        "bare",
        "--type=merge",
        "-p",
        patch,
    ]);

    until("the selector to be removed", SHORT, || {
        let service = json(&["-n", namespace.name(), "service", "bare"]).unwrap_or_default();
        if service["spec"]["selector"].is_null() {
            Ok(())
        } else {
            Err(service["spec"].clone())
        }
    });
    until(
        "slices of the built-in controller to be gone",
        SHORT,
        || {
            let managers: Vec<String> = app
                .slices()
                .iter()
                .map(|s| {
                    s["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"].to_string()
                })
                .collect();
            if managers.iter().all(|m| m.contains("operator.shoal.dev")) {
                Ok(())
            } else {
                Err(managers)
            }
        },
    );
    assert_eq!(app.get(1, "/").status, 200);
}

#[test]
fn what_is_deleted_by_hand_comes_back() {
    let namespace = Namespace::new("byhand");
    let app = namespace.app("restored", &image("hello"));
    app.apply().ready();
    kubectl(&["-n", namespace.name(), "delete", "endpointslices", "--all"]);
    eventually("the slices to be back", SHORT, || {
        app.ready_endpoints().len() == 2
    });
    kubectl(&["-n", namespace.name(), "delete", "service", "restored"]);
    eventually("the Service to be back", SHORT, || {
        json(&["-n", namespace.name(), "service", "restored"]).is_some()
            && app.ready_endpoints().len() == 2
    });
    app.ready();
    assert_eq!(app.get(1, "/").status, 200);
}

#[test]
fn a_stores_id_is_the_operators_alone() {
    let namespace = Namespace::new("ids");
    let store = |spec| {
        json!({
            "apiVersion": "shoal.dev/v1alpha1", "kind": "Store",
            "metadata": {"name": "mine", "namespace": namespace.name()}, "spec": spec,
        })
        .to_string()
    };
    let stolen =
        json!({"app": "thief", "label": "default", "id": "00000000-0000-4000-8000-000000000000"});
    let refused = try_kubectl(&["apply", "-f", "-"], &store(stolen));
    assert!(
        !refused.ok && refused.stderr.contains("id"),
        "{}",
        refused.stderr
    );

    apply(&store(json!({"app": "thief", "label": "default"})));
    let app = namespace.app("thief", &image("kv"));
    app.apply().ready();
    let bound = &app.object()["status"]["stores"][0];
    assert_eq!(
        bound["store"], "mine",
        "a Store that was made first is the one that is bound"
    );
    let patch = r#"{"spec":{"id":"00000000-0000-4000-8000-000000000000"}}"#;
    let arguments = [
        "-n",
        namespace.name(),
        "patch",
        "stores.shoal.dev",
        "mine",
        "--type=merge",
        "-p",
        patch,
    ];
    assert!(!try_kubectl(&arguments, "").ok, "an id was changed");
    let store = json(&["-n", namespace.name(), "stores.shoal.dev", "mine"]).expect("a Store");
    assert_eq!(
        store["spec"]["id"].as_str().map(str::len),
        Some(36),
        "it got its id when bound"
    );
    assert!(condition(&app.object(), "StoresBound").is_some_and(|c| c["status"] == "True"));
}
