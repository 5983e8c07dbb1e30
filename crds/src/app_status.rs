//! What became of an `App`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Condition, Interface};

/// What became of an App.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    /// `metadata.generation` that this status speaks of; -1 until the operator has seen the App.
    #[serde(default = "not_observed")]
    pub observed_generation: i64,

    /// The image that is served, as `<reference>@<digest>`: the last that was built. For an App of
    /// several components, one of these for each, in order, joined by `,`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32768))]
    pub image: Option<String>,

    /// Hash of what is to run: the resolved digests and the components.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub revision: Option<String>,

    /// The revision that ready nodes serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub serving_revision: Option<String>,

    /// Where the app answers in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub url: Option<String>,

    /// The app's own port on the runtimes: the Service's target port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,

    /// Nodes with a ready endpoint.
    #[serde(default)]
    pub replicas: i32,

    /// Nodes wanted: `spec.replicas`, or as many as there are.
    #[serde(default)]
    pub desired_replicas: i32,

    /// `replicas/desiredReplicas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub ready: Option<String>,

    /// A label selector that matches no pod (the pods are shared): for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub selector: Option<String>,

    /// How the app fares on its nodes; at most 20, those that are not ready first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend(
        "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]
    ))]
    pub nodes: Vec<NodeStatus>,

    /// Stores that the app is bound to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub stores: Vec<StoreStatusEntry>,

    /// Short texts for the columns of `kubectl get`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,

    /// `ImageResolved`, `Built`, `StoresBound`, `Available`, `Ready`, and while they hold
    /// `Reconciling` and `Stalled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend(
        "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]
    ))]
    pub conditions: Vec<Condition>,
}

/// How the app fares on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Name of the node.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Whether the app answers there.
    pub ready: bool,
    /// Why it does not, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub reason: Option<String>,
}

/// A store that the app is bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreStatusEntry {
    /// The name that guests open.
    #[schemars(length(max = 256))]
    pub label: String,
    /// Interface.
    pub interface: Interface,
    /// Name of the Store.
    #[schemars(length(max = 253))]
    pub store: String,
    /// Class of the Store.
    #[schemars(length(max = 253))]
    pub class_name: String,
}

/// Short texts for columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Nodes that serve the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub nodes: Option<String>,
    /// Stores that the app is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub stores: Option<String>,
    /// Reason of the condition that keeps the app from being ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub reason: Option<String>,
}

fn not_observed() -> i64 {
    -1
}
