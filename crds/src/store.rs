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
    printcolumn(name = "Keys", type_ = "integer", json_path = ".status.keys"),
    printcolumn(
        name = "Bytes",
        type_ = "integer",
        json_path = ".status.bytes",
        description = "Of keys and values"
    ),
    printcolumn(name = "Bound", type_ = "boolean", json_path = ".status.bound"),
    printcolumn(
        name = "Used by",
        type_ = "string",
        json_path = ".status.usedBy[*]",
        description = "Apps that use it now"
    ),
    printcolumn(
        name = "Reclaim",
        type_ = "string",
        json_path = ".spec.reclaimPolicy",
        description = "What becomes of the data when the App is deleted",
        priority = 1
    ),
    printcolumn(
        name = "Deleted at",
        type_ = "string",
        json_path = ".status.deleteAt",
        description = "When the data goes, for its App was deleted",
        priority = 1
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

    /// What becomes of the data once the App, or the Store itself, is deleted. A Store that an app
    /// brings about has that of its StoreClass at the time.
    #[serde(default)]
    pub reclaim_policy: ReclaimPolicy,

    /// Where the data is: every key in every backend is under this id. The operator alone sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 36, max = 36),
        pattern(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
    )]
    pub id: Option<String>,
}

/// What becomes of data that nobody uses any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ReclaimPolicy {
    /// It stays: an App made again finds it. So does whoever deletes the Store, who has to remove
    /// the data otherwise.
    #[default]
    Retain,
    /// It goes when its App was deleted and not made again within the time that the operator's flag
    /// `--store-delete-grace` says; and when the Store is deleted, at once.
    Delete,
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
    /// Objects of any size under names.
    Blob,
}

impl Interface {
    /// Every interface.
    pub const ALL: [Self; 3] = [Self::KeyValue, Self::Sql, Self::Blob];

    /// As manifests write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyValue => "KeyValue",
            Self::Sql => "Sql",
            Self::Blob => "Blob",
        }
    }

    /// The interface of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
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

    /// Keys that it holds, as counted within the last minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub keys: Option<i64>,

    /// Bytes of its keys and values, counted with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub bytes: Option<i64>,

    /// When its data is to be deleted (RFC 3339), since its App was: unless an App of that name is
    /// made again, or `spec.reclaimPolicy` becomes `Retain`, before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub delete_at: Option<String>,

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
