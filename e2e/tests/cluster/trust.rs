//! What a part, and what is none, may do.

use shoal_e2e::{LONG, Namespace, SYSTEM, apply, json, kubectl, try_kubectl, until};

use crate::parts;

/// A pod of Shoal's own image that runs `command` under a service account with a token of ours.
fn pod(namespace: &str, name: &str, account: &str, command: &[&str]) -> String {
    let image = json(&["-n", SYSTEM, "deployment", "shoal-operator"]).expect("the operator")
        ["spec"]["template"]["spec"]["containers"][0]["image"]
        .clone();
    serde_json::json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": account,
            "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "intruder", "image": image, "command": command,
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "token", "mountPath": "/var/run/shoal/token"},
                    {"name": "ca", "mountPath": "/var/run/shoal/ca"},
                    {"name": "identity", "mountPath": "/run/shoal"},
                    {"name": "state", "mountPath": "/var/lib/shoal"},
                ],
            }],
            "volumes": [
                {"name": "token", "projected": {"sources": [{"serviceAccountToken": {
                    "path": "token", "audience": "shoal", "expirationSeconds": 3600,
                }}]}},
                {"name": "ca", "configMap": {"name": "shoal-ca-bundle", "optional": true}},
                {"name": "identity", "emptyDir": {"medium": "Memory"}},
                {"name": "state", "emptyDir": {}},
            ],
        },
    })
    .to_string()
}

fn copy_bundle_to(namespace: &str) {
    let bundle = json(&["-n", SYSTEM, "configmap", "shoal-ca-bundle"]).expect("the bundle");
    let copy = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "shoal-ca-bundle", "namespace": namespace}, "data": bundle["data"],
    });
    apply(&copy.to_string());
}

fn wait_for_log(namespace: &str, name: &str, words: &str) {
    until(
        &format!("`{words}` in the log of {namespace}/{name}"),
        LONG,
        || {
            let log = try_kubectl(&["-n", namespace, "logs", name], "").stdout;
            if log.contains(words) {
                Ok(())
            } else {
                Err(log)
            }
        },
    );
}

#[test]
fn another_pod_with_a_token_of_its_own_gets_nothing() {
    let namespace = Namespace::new("intruder");
    copy_bundle_to(namespace.name());
    let runtime = ["shoal-runtime"];
    apply(&pod(namespace.name(), "stranger", "default", &runtime));
    wait_for_log(namespace.name(), "stranger", "is no part of Shoal");
    let status = try_kubectl(&["-n", namespace.name(), "logs", "stranger"], "").stdout;
    assert!(
        !status.contains("assignments"),
        "a stranger got assignments: {status}"
    );
}

#[test]
fn a_pod_that_borrows_a_parts_service_account_but_is_not_that_part_gets_nothing() {
    for (account, program) in [
        ("shoal-runtime", "shoal-runtime"),
        ("shoal-store", "shoal-store"),
    ] {
        let name = format!("borrower-of-{account}");
        apply(&pod(SYSTEM, &name, account, &[program]));
        wait_for_log(SYSTEM, &name, "has no controller");
        kubectl(&[
            "-n",
            SYSTEM,
            "delete",
            "pod",
            &name,
            "--grace-period=0",
            "--force",
        ]);
    }
}

#[test]
fn a_runtime_may_do_nothing_in_the_api_and_has_no_token_for_it() {
    let runtime = format!("system:serviceaccount:{SYSTEM}:shoal-runtime");
    let nobody = format!("system:serviceaccount:{SYSTEM}:nobody-at-all");
    let rights = |user: &str| {
        kubectl(&[
            "auth",
            "can-i",
            "--list",
            "--as",
            user,
            "--as-group=system:serviceaccounts",
            "--as-group=system:authenticated",
        ])
    };
    assert_eq!(
        rights(&runtime),
        rights(&nobody),
        "beyond what every authenticated user may"
    );

    for parts::Pod { name: pod, .. } in parts::pods("shoal-runtime") {
        let spec = json(&["-n", SYSTEM, "pod", &pod]).expect("the pod");
        let mounts = spec["spec"]["containers"][0]["volumeMounts"].to_string();
        assert!(
            !mounts.contains("/var/run/secrets/kubernetes.io"),
            "{mounts}"
        );
        let sources = spec["spec"]["volumes"].to_string();
        assert!(
            !sources.contains("\"audience\":\"api\"") && sources.contains("\"audience\":\"shoal\"")
        );
    }
}

#[test]
fn every_pod_of_shoal_meets_restricted_pod_security() {
    let namespace = json(&["namespace", SYSTEM]).expect("the namespace");
    let label = &namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
    assert_eq!(label, "restricted");
    for (part, count) in [
        ("shoal-operator", 2),
        ("shoal-builder", 1),
        ("shoal-store", 1),
        ("shoal-runtime", 3),
    ] {
        parts::wait_until_ready(part, count);
    }
}
