//! Objects that the cluster starts with: rights of its own parts, and volumes.

use anyhow::Result;
use serde_json::{Value, json};

use crate::layout::Layout;
use crate::volumes;

/// Every object, as one `List`.
///
/// # Errors
/// The folder of a volume cannot be made.
pub fn objects(layout: &Layout) -> Result<Value> {
    let mut items = rights();
    items.extend(volumes::create(layout)?);
    Ok(json!({"apiVersion": "v1", "kind": "List", "items": items}))
}

/// Kubernetes itself grants CoreDNS nothing, nor the API server anything on the kubelets
/// (`kubectl logs` and `exec` go through them).
fn rights() -> Vec<Value> {
    let read = |group: &str, resources: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": ["get", "list", "watch"]});
    vec![
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": [
                read("", &["services", "pods", "namespaces", "nodes"]),
                read("discovery.k8s.io", &["endpointslices"]),
            ],
        }),
        binding("system:coredns", "system:coredns"),
        binding("system:kubelet-api-admin", "kube-apiserver-kubelet-client"),
    ]
}

fn binding(role: &str, user: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": format!("shoal-cluster:{user}")},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role,
        },
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    })
}
