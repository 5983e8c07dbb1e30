//! What there is, for clients that ask before they use it.

use axum::Json;
use serde_json::{Value, json};

fn version() -> Value {
    json!({"groupVersion": "runtime.shoal.dev/v1alpha1", "version": "v1alpha1"})
}

fn group_value() -> Value {
    json!({"name": "runtime.shoal.dev", "versions": [version()], "preferredVersion": version()})
}

pub(super) async fn groups() -> Json<Value> {
    Json(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group_value()]}))
}

pub(super) async fn group() -> Json<Value> {
    let mut group = group_value();
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    Json(group)
}

/// Of `stores` there are subresources alone: `kubectl get stores` means those of `shoal.dev`.
pub(super) async fn resources() -> Json<Value> {
    let resource = |name: &str, singular: &str, namespaced: bool, kind: &str, verbs: &[&str]| {
        json!({
            "name": name, "singularName": singular, "namespaced": namespaced, "kind": kind, "verbs": verbs,
        })
    };
    Json(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "runtime.shoal.dev/v1alpha1",
        "resources": [
            resource("storeorphans", "storeorphan", false, "StoreOrphan", &["delete", "get", "list"]),
            resource("storeorphans/adopt", "", false, "Adoption", &["create"]),
            resource("stores/export", "", true, "StoreExport", &["get"]),
            resource("stores/import", "", true, "StoreImport", &["create"]),
        ],
    }))
}

/// No schema: what is not an object has none.
pub(super) async fn openapi_v2() -> Json<Value> {
    let info = json!({"title": "Shoal", "version": "v1alpha1"});
    Json(json!({"swagger": "2.0", "info": info, "paths": {}}))
}

/// As [`openapi_v2`].
pub(super) async fn openapi_v3() -> Json<Value> {
    Json(json!({"paths": {}}))
}
