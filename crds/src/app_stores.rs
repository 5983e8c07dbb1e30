//! What an `App` says about its stores.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::Interface;

/// Where a label of an app is, if not where the default says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.class) != has(self.store)")
    .message("exactly one of `class` and `store` is required"))]
pub struct AppStore {
    /// The name that guests open.
    #[schemars(length(min = 1, max = 256))]
    pub label: String,

    /// Interface that they open it through.
    #[serde(default)]
    pub interface: Interface,

    /// Name of the StoreClass that the label's Store is made of. Data of a Store that exists does
    /// not move: its class stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253))]
    pub class: Option<String>,

    /// Name of a Store of this namespace, which may be another App's: both then see the same data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253))]
    pub store: Option<String>,
}
