//! The App's Service: as it is to be, and what differs.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::{
        apis::meta::v1::{ObjectMeta, OwnerReference},
        util::intstr::IntOrString,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shoal_crds::App;

use crate::AppKey;

/// Name of the Service's one port.
pub(crate) const PORT_NAME: &str = "http";
/// Label that says which App a Service is of.
const APP_LABEL: &str = "shoal.dev/app";
/// Annotation that records which labels and annotations came from `spec.service`.
const OWNED_KEYS_ANNOTATION: &str = "shoal.dev/service-keys";
/// Label that says who made an object.
pub(crate) const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Its value on what is made here.
pub(crate) const MANAGER: &str = "shoal";

/// The Service that the App is to have.
pub(crate) fn desired(key: &AppKey, app: &App, port: u16) -> Service {
    let spec = &app.spec.service;
    let mut labels = BTreeMap::from([(MANAGED_BY_LABEL.to_owned(), MANAGER.to_owned())]);
    labels.extend(spec.labels.clone());
    labels.insert(APP_LABEL.to_owned(), key.name.to_string());
    let mut annotations = spec.annotations.clone();
    if let Some(owned) = OwnedKeys::to_annotation(spec) {
        annotations.insert(OWNED_KEYS_ANNOTATION.to_owned(), owned);
    }
    Service {
        metadata: ObjectMeta {
            name: Some(key.name.to_string()),
            namespace: Some(key.namespace.to_string()),
            labels: Some(labels),
            annotations: (!annotations.is_empty()).then_some(annotations),
            owner_references: Some(vec![OwnerReference {
                api_version: format!("{}/{}", shoal_crds::GROUP, shoal_crds::VERSION),
                kind: "App".to_owned(),
                name: key.name.to_string(),
                uid: app.metadata.uid.clone().unwrap_or_default(),
                controller: Some(true),
                block_owner_deletion: Some(true),
            }]),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            type_: Some(spec.type_.as_str().to_owned()),
            ip_family_policy: Some(spec.ip_family_policy.as_str().to_owned()),
            ports: Some(vec![ServicePort {
                name: Some(PORT_NAME.to_owned()),
                protocol: Some("TCP".to_owned()),
                port: spec.port,
                target_port: Some(IntOrString::Int(i32::from(port))),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// A selector that someone gave it: with one, others would manage its endpoints.
pub(crate) fn has_selector(service: &Service) -> bool {
    let selector = service
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| !selector.is_empty())
}

/// A JSON merge patch that makes `found` what `desired` says, and touches nothing that is not ours; `None`: it is.
pub(crate) fn patch(desired: &Service, found: &Service) -> Option<Value> {
    let mut metadata = Map::new();
    let owned = OwnedKeys::of(found);
    let (labels, annotations) = (&desired.metadata.labels, &desired.metadata.annotations);
    add(
        &mut metadata,
        "labels",
        entries(labels, &found.metadata.labels, &owned.labels),
    );
    let changes = entries(annotations, &found.metadata.annotations, &owned.annotations);
    add(&mut metadata, "annotations", changes);
    let spec = spec_patch(desired, found);
    if metadata.is_empty() && spec.is_empty() {
        return None;
    }
    metadata.insert(
        "resourceVersion".to_owned(),
        json!(found.metadata.resource_version),
    );
    let mut patch = Map::from_iter([("metadata".to_owned(), Value::Object(metadata))]);
    add(&mut patch, "spec", spec);
    Some(Value::Object(patch))
}

fn add(object: &mut Map<String, Value>, name: &str, value: Map<String, Value>) {
    if !value.is_empty() {
        object.insert(name.to_owned(), Value::Object(value));
    }
}

fn spec_patch(desired: &Service, found: &Service) -> Map<String, Value> {
    let mut patch = Map::new();
    let (Some(desired), Some(spec)) = (&desired.spec, &found.spec) else {
        return patch;
    };
    if has_selector(found) {
        patch.insert("selector".to_owned(), Value::Null);
    }
    if spec.type_ != desired.type_ {
        patch.insert("type".to_owned(), json!(desired.type_));
    }
    if spec.ip_family_policy != desired.ip_family_policy {
        patch.insert("ipFamilyPolicy".to_owned(), json!(desired.ip_family_policy));
    }
    let wanted = desired.ports.iter().flatten().next();
    let only = match spec.ports.as_deref() {
        Some([port]) => Some(port),
        _ => None,
    };
    if let Some(wanted) = wanted
        && !only.is_some_and(|port| is_same_port(port, wanted))
    {
        let keep_node_port = desired.type_ == spec.type_;
        patch.insert(
            "ports".to_owned(),
            json!([with_foreign_parts(wanted, spec, keep_node_port)]),
        );
    }
    patch
}

fn is_same_port(found: &ServicePort, wanted: &ServicePort) -> bool {
    found.name == wanted.name
        && found.port == wanted.port
        && found.target_port == wanted.target_port
        && found.protocol.as_deref().unwrap_or("TCP") == "TCP"
}

/// A list is replaced as a whole: what others put into our port must not get lost.
fn with_foreign_parts(wanted: &ServicePort, found: &ServiceSpec, node_port: bool) -> ServicePort {
    let ports = found.ports.as_deref().unwrap_or_default();
    let Some(known) = ports
        .iter()
        .find(|port| port.name == wanted.name)
        .or(ports.first())
    else {
        return wanted.clone();
    };
    ServicePort {
        node_port: known.node_port.filter(|_| node_port),
        app_protocol: known.app_protocol.clone(),
        ..wanted.clone()
    }
}

/// What a map of labels or annotations lacks, and what of ours it still has (`null`).
fn entries(
    desired: &Option<BTreeMap<String, String>>,
    found: &Option<BTreeMap<String, String>>,
    owned: &BTreeSet<String>,
) -> Map<String, Value> {
    let empty = BTreeMap::new();
    let (desired, found) = (
        desired.as_ref().unwrap_or(&empty),
        found.as_ref().unwrap_or(&empty),
    );
    let missing = desired
        .iter()
        .filter(|(name, value)| found.get(*name) != Some(value));
    let stale = owned
        .iter()
        .filter(|name| found.contains_key(*name) && !desired.contains_key(*name));
    let mut changes: Map<String, Value> = missing
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    changes.extend(stale.map(|name| (name.clone(), Value::Null)));
    changes
}

/// Names of labels and annotations that came from the spec: what leaves the spec leaves the Service, and what others
/// put there stays.
#[derive(Default, Deserialize, Serialize)]
struct OwnedKeys {
    #[serde(default)]
    labels: BTreeSet<String>,
    #[serde(default)]
    annotations: BTreeSet<String>,
}

impl OwnedKeys {
    /// The annotation that records them; `None`: there are none.
    fn to_annotation(spec: &shoal_crds::ServiceSpec) -> Option<String> {
        if spec.labels.is_empty() && spec.annotations.is_empty() {
            return None;
        }
        let owned = Self {
            labels: spec.labels.keys().cloned().collect(),
            annotations: spec.annotations.keys().cloned().collect(),
        };
        serde_json::to_string(&owned).ok()
    }

    fn of(service: &Service) -> Self {
        let annotations = service.metadata.annotations.as_ref();
        let Some(text) = annotations.and_then(|all| all.get(OWNED_KEYS_ANNOTATION)) else {
            return Self::default();
        };
        let mut owned: Self = serde_json::from_str(text).unwrap_or_default();
        owned.annotations.insert(OWNED_KEYS_ANNOTATION.to_owned());
        owned
    }
}
