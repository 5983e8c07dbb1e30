//! `StoreClass`: what a platform team says about where data is.

mod backend;
mod bindable;
mod limits;
mod namespace_selector;
mod resolution;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Condition, Interface, ReclaimPolicy};

pub use backend::{
    Backend, CaSource, ConnectionTls, EmbeddedBackend, MemoryBackend, PostgresBackend,
    RedisBackend, S3Backend, S3Credentials, SecretKeySelector, SecretReference, UrlSource,
};
pub use bindable::{Unbindable, may_bind};
pub use limits::StoreClassLimits;
pub use namespace_selector::{NamespaceSelector, SelectorOperator, SelectorRequirement};
pub use resolution::{DefaultClass, default_class};

/// Where the data of Stores is, who may use it, and how much.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[allow(
    clippy::duplicated_attributes,
    reason = "each column has a type of its own"
)]
#[kube(
    group = "shoal.dev",
    version = "v1alpha1",
    kind = "StoreClass",
    plural = "storeclasses",
    category = "shoal",
    status = "StoreClassStatus",
    derive = "PartialEq",
    doc = "Where the data of Stores is, who may use it, and how much: what a StorageClass is to \
           volumes. The class `embedded` exists without being declared; a StoreClass of that name \
           sets its limits.",
    validation = Rule::new("self.metadata.name != 'embedded' || has(self.spec.backend.embedded)")
        .message("the class `embedded` exists without being declared: a StoreClass of that name \
                  has the backend `embedded`; give another backend another name"),
    printcolumn(name = "Interface", type_ = "string", json_path = ".spec.interface"),
    printcolumn(name = "Backend", type_ = "string", json_path = ".status.backend"),
    printcolumn(name = "Default", type_ = "boolean", json_path = ".spec.default",
        description = "Whether it answers apps that name no class"),
    printcolumn(name = "Ready", type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status",
        description = "Whether the nodes that use it reach it"),
    printcolumn(name = "Used by", type_ = "integer", json_path = ".status.usedBy",
        description = "Stores of this class"),
    printcolumn(name = "Reason", type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        description = "Why it is ready or not"),
    printcolumn(name = "Labels", type_ = "string", json_path = ".spec.labels",
        description = "Labels that it answers as a default", priority = 1),
    printcolumn(name = "Reclaim", type_ = "string", json_path = ".spec.reclaimPolicy",
        description = "What becomes of the data of apps that are deleted", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.interface == oldSelf.interface")
    .message("`interface` cannot change; make another StoreClass"))]
#[x_kube(validation = Rule::new(
        "!has(self.interface) || self.interface != 'Sql' || has(self.backend.embedded)"
    )
    .message("SQL databases are in the backend `embedded` alone"))]
#[x_kube(validation = Rule::new(
        "!has(self.interface) || self.interface != 'Blob' || has(self.backend.embedded) || has(self.backend.s3)"
    )
    .message("objects (interface `Blob`) are in the backends `embedded` and `s3` alone"))]
#[x_kube(validation = Rule::new(
        "!has(self.backend.s3) || has(self.interface) && self.interface == 'Blob'"
    )
    .message("the backend `s3` holds objects alone: say `interface: Blob`"))]
pub struct StoreClassSpec {
    /// Interface that the data is reached through.
    #[serde(default)]
    pub interface: Interface,

    /// Where the data is.
    pub backend: Backend,

    /// Whether it answers apps that open one of `labels` and name no class. What is bound already
    /// stays where it is.
    #[serde(default)]
    pub default: bool,

    /// Labels that it answers when it is a default; `*`: any. Unset: `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 256)),
        extend("x-kubernetes-list-type" = "set"))]
    pub labels: Option<Vec<String>>,

    /// Namespaces whose apps may use it. Unset: all. Of several defaults the one whose selector
    /// matches the namespace is taken before those without a selector; among these, one that names
    /// the label before one that answers any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<NamespaceSelector>,

    /// What becomes of the data of apps that are deleted. Each Store keeps what this said when it was
    /// made; change it there.
    #[serde(default)]
    pub reclaim_policy: ReclaimPolicy,

    /// Bounds of each Store of the class. They change live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<StoreClassLimits>,
}

/// What became of a StoreClass.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreClassStatus {
    /// Kind of its backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub backend: Option<String>,

    /// How many Stores are of this class. It is not deleted before there are none.
    #[serde(default)]
    pub used_by: i32,

    /// Id of the place that the data is in: of the database of a Secret's URL, under the class's prefix. The first that
    /// was heard of. A server that is another place, or none, is not used: see `Ready`. Cleared, what the URL leads to
    /// then is recorded; to be done only if the data was moved there, or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), pattern(r"^[0-9a-f]{16}$"))]
    pub place: Option<String>,

    /// `Ready`, and while they hold `Conflict` and `InUse`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend(
        "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]
    ))]
    pub conditions: Vec<Condition>,
}

impl StoreClass {
    /// Where its data is, as far as that is recorded.
    pub fn place(&self) -> Option<&str> {
        self.status.as_ref()?.place.as_deref()
    }
}

/// Whether `status.place` may be this.
pub fn is_place_id(text: &str) -> bool {
    text.len() == 16
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
