//! `Store`: the durable record of whose data is where.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Condition;

/// Data of an app under one label. It outlives the App; one made again finds it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[allow(
    clippy::duplicated_attributes,
    reason = "each column has a type of its own"
)]
#[kube(
    group = "shoal.dev",
    version = "v1alpha1",
    kind = "Store",
    plural = "stores",
    category = "shoal",
    namespaced,
    status = "StoreStatus",
    derive = "PartialEq",
    doc = "The durable record of whose data is where: what a PersistentVolumeClaim is to volumes. \
           Made when an app first opens a label; it outlives the App, and an App made again finds it.",
    printcolumn(name = "App", type_ = "string", json_path = ".spec.app"),
    printcolumn(name = "Label", type_ = "string", json_path = ".spec.label"),
    printcolumn(name = "Interface", type_ = "string", json_path = ".spec.interface"),
    printcolumn(name = "Class", type_ = "string", json_path = ".spec.className"),
    printcolumn(name = "Backend", type_ = "string", json_path = ".status.backend"),
    printcolumn(name = "Bound", type_ = "boolean", json_path = ".status.bound"),
    printcolumn(
        name = "Used by",
        type_ = "string",
        json_path = ".status.usedBy[*]",
        description = "Apps that use it now"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.app == oldSelf.app && self.label == oldSelf.label \
        && self.interface == oldSelf.interface && self.className == oldSelf.className")
        .message("`app`, `label`, `interface` and `className` say where data is and cannot change; \
                  make another Store"),
    validation = Rule::new("!has(oldSelf.id) || (has(self.id) && self.id == oldSelf.id)")
        .message("`id` is where the data is and cannot change")
)]
pub struct StoreSpec {
    /// Name of the App, of this namespace, whose label this is.
    #[schemars(length(min = 1, max = 63), pattern(r"^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub app: String,

    /// The name that guests open.
    #[schemars(length(min = 1, max = 256))]
    pub label: String,

    /// Interface that the data is reached through.
    #[serde(default)]
    pub interface: Interface,

    /// Name of its StoreClass: where its data is. `embedded` exists without being declared.
    #[serde(default = "default_class")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: String,

    /// Where the data is: every key in every backend is under this id. The operator alone sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 36, max = 36),
        pattern(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
    )]
    pub id: Option<String>,
}

/// Interfaces of stores.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Deserialize,
    Serialize,
    JsonSchema,
)]
pub enum Interface {
    /// Values under keys.
    #[default]
    KeyValue,
    /// Databases of SQLite's language.
    Sql,
}

impl Interface {
    /// As manifests write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyValue => "KeyValue",
            Self::Sql => "Sql",
        }
    }

    /// The interface of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::KeyValue, Self::Sql]
            .into_iter()
            .find(|interface| interface.as_str() == name)
    }
}

/// What became of a Store.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreStatus {
    /// Whether the Store has its id, so that apps can use it.
    #[serde(default)]
    pub bound: bool,

    /// Kind of its class's backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub backend: Option<String>,

    /// Apps that use it now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub used_by: Vec<String>,

    /// What is wrong with it, if anything is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend(
        "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]
    ))]
    pub conditions: Vec<Condition>,
}

fn default_class() -> String {
    crate::EMBEDDED_CLASS.to_owned()
}
