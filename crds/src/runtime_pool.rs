//! `RuntimePool`: what a platform team says about the nodes' runtimes.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A pool of runtimes, one on each node. The pool `default` exists without being declared.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "shoal.dev",
    version = "v1alpha1",
    kind = "RuntimePool",
    plural = "runtimepools",
    category = "shoal",
    derive = "PartialEq",
    doc = "Settings of the runtimes that serve apps. The pool `default` exists without being declared.",
    validation = Rule::new("self.metadata.name == 'default'")
        .message("this version has one pool, which is called `default`"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct RuntimePoolSpec {
    /// How registries are spoken to.
    #[serde(default)]
    pub registries: Registries,
}

/// How registries are spoken to when images of this pool's apps are pulled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registries {
    /// Registries, as `host` or `host:port`, that are spoken to in plain HTTP.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253), pattern(r"^[^\s/@]+$")),
        extend("x-kubernetes-list-type" = "set"))]
    pub insecure: Vec<String>,

    /// Certificate authorities, in PEM, that are trusted besides the well-known ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub ca: Option<String>,
}
