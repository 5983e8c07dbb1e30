//! `manifests/crds.yaml`: the kinds, and the namespace that Shoal runs in.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use serde_json::{Value, json};

use crate::{App, RuntimePool, SYSTEM_NAMESPACE, Store, StoreClass, yaml, yaml::YamlError};

const HEADER: &str = "\
# The kinds of Shoal and the namespace it runs in. Written by `cargo xtask crds`; do not edit.
# They are apart from install.yaml so that deleting that keeps every App, Store and volume.
";

/// The whole file.
///
/// # Errors
/// A definition cannot be written as YAML.
pub fn manifest() -> Result<String, YamlError> {
    let mut text = String::from(HEADER);
    text.push_str("---\n");
    text.push_str(&yaml::to_string(&namespace())?);
    for definition in definitions() {
        text.push_str("---\n");
        text.push_str(&yaml::to_string(&finished(&definition))?);
    }
    Ok(text)
}

fn definitions() -> [CustomResourceDefinition; 4] {
    [
        App::crd(),
        RuntimePool::crd(),
        Store::crd(),
        StoreClass::crd(),
    ]
}

/// Restricted Pod Security, enforced: all parts of Shoal meet it whole.
fn namespace() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": SYSTEM_NAMESPACE,
            "labels": {
                "app.kubernetes.io/part-of": "shoal",
                "pod-security.kubernetes.io/enforce": "restricted",
                "pod-security.kubernetes.io/audit": "restricted",
                "pod-security.kubernetes.io/warn": "restricted",
            },
        },
    })
}

/// What the derive cannot say.
fn finished(definition: &CustomResourceDefinition) -> Value {
    let mut value = json!(definition);
    if let Some(labels) = value
        .pointer_mut("/metadata")
        .and_then(Value::as_object_mut)
    {
        labels.insert(
            "labels".into(),
            json!({"app.kubernetes.io/part-of": "shoal"}),
        );
    }
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties";
    // An App that nobody has looked at yet must not seem to be in order: kstatus and Flux compare
    // observedGeneration, and would take an absent one for a kind that has none.
    if definition.spec.names.kind == "App"
        && let Some(status) = value.pointer_mut(&format!("{schema}/status"))
        && let Some(status) = status.as_object_mut()
    {
        status.insert("default".into(), json!({"observedGeneration": -1}));
        status.remove("nullable");
    }
    if let Some(properties) = value.pointer_mut(schema).and_then(Value::as_object_mut) {
        for (name, text) in [
            ("spec", "What is wanted."),
            ("status", "What became of it."),
        ] {
            if let Some(property) = properties.get_mut(name).and_then(Value::as_object_mut) {
                property.insert("description".into(), json!(text));
            }
        }
    }
    unwrap_descriptions(&mut value);
    value
}

/// Sources break lines at a column; readers' terminals break them elsewhere. Paragraphs stay.
fn unwrap_descriptions(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, child) in map {
                match child {
                    Value::String(text) if key == "description" => {
                        let paragraphs = text.split("\n\n").map(|p| p.replace('\n', " "));
                        *text = paragraphs.collect::<Vec<_>>().join("\n\n");
                    }
                    _ => unwrap_descriptions(child),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(unwrap_descriptions),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(value: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
        visit(path, value);
        match value {
            Value::Object(map) => {
                for (key, child) in map {
                    walk(child, &format!("{path}/{key}"), visit);
                }
            }
            Value::Array(list) => {
                for (index, child) in list.iter().enumerate() {
                    walk(child, &format!("{path}/{index}"), visit);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn every_list_map_and_text_is_bounded() {
        for definition in definitions() {
            let value = finished(&definition);
            let root = value
                .pointer("/spec/versions/0/schema/openAPIV3Schema")
                .unwrap();
            walk(root, "", &mut |path, node| {
                let bounded = match node.get("type").and_then(Value::as_str) {
                    Some("array") => node.get("maxItems").is_some(),
                    Some("string") => ["maxLength", "enum", "format"]
                        .iter()
                        .any(|k| node.get(k).is_some()),
                    Some("object") if node.get("additionalProperties").is_some() => {
                        node.get("maxProperties").is_some()
                    }
                    _ => true,
                };
                let ours = path.contains("/spec/") || path.contains("/status/");
                let variant = path.contains("/anyOf/");
                assert!(
                    bounded || !ours || variant,
                    "{}{path} has no bound",
                    definition.spec.names.kind
                );
            });
        }
    }

    #[test]
    fn every_field_is_explained() {
        for definition in definitions() {
            let value = finished(&definition);
            let root = value
                .pointer("/spec/versions/0/schema/openAPIV3Schema")
                .unwrap();
            walk(root, "", &mut |path, node| {
                if let Some(fields) = node.get("properties").and_then(Value::as_object) {
                    for (name, field) in fields {
                        let explained = field.get("description").is_some() || name == "metadata";
                        assert!(
                            explained,
                            "{}{path}/{name} is not explained",
                            definition.spec.names.kind
                        );
                    }
                }
            });
        }
    }

    #[test]
    fn an_app_that_nobody_saw_is_not_observed() {
        let value = finished(&App::crd());
        let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/default";
        assert_eq!(
            value.pointer(status),
            Some(&json!({"observedGeneration": -1}))
        );
    }

    #[test]
    fn a_backend_with_nothing_after_it_is_none() {
        let value = finished(&StoreClass::crd());
        let backend = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/backend";
        let backend = value.pointer(backend).unwrap();
        assert_eq!(backend.get("required"), None);
        for kind in ["embedded", "memory", "postgres", "redis", "s3"] {
            let schema = backend.pointer(&format!("/properties/{kind}")).unwrap();
            // The API server takes away what is null, unless it may be.
            assert_eq!(schema.get("nullable"), None, "{kind}");
        }
    }
}
