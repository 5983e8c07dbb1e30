//! `App`: what a developer applies.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AppStatus, AppStore, EnvFromSource, EnvVar, Limits, ServiceSpec, Variable, validation,
};

/// A WebAssembly app, served on some of the cluster's nodes behind a Service of its name.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "shoal.dev",
    version = "v1alpha1",
    kind = "App",
    plural = "apps",
    shortname = "wapp",
    category = "shoal",
    namespaced,
    status = "AppStatus",
    derive = "PartialEq",
    doc = "A WebAssembly app. Applying one gives a Service of its name, endpoints that are ready \
           when the app is ready on their node, and the key-value store `default`.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    validation = Rule::new(
        "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$')"
    ).message("the name of an App names its Service: it must be an RFC 1035 label (lower case \
               letters, digits and `-`, beginning with a letter, at most 63 characters)"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.ready",
        description = "Nodes that serve the app, of the nodes wanted"),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.image",
        description = "What the app is made from"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url",
        description = "Where the app answers in the cluster"),
    printcolumn(name = "Stores", type_ = "string", json_path = ".status.summary.stores",
        description = "Stores that the app is bound to", priority = 1),
    printcolumn(name = "Nodes", type_ = "string", json_path = ".status.summary.nodes",
        description = "Nodes that serve the app", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.summary.reason",
        description = "Why the app is not ready", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.image) != has(self.components)")
    .message("exactly one of `image` and `components` is required"))]
pub struct AppSpec {
    /// OCI reference of the app: a Spin app, a Wasm artifact, or an image made `FROM scratch` that
    /// holds `/spin.toml`. Give either this or `components`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), pattern(r"^[^\s]+$"))]
    pub image: Option<String>,

    /// Components of the app, each from an image of its own, told apart by their routes. Give
    /// either this or `image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), extend(
        "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]
    ))]
    pub components: Option<Vec<Component>>,

    /// On how many nodes the app is served; at most as many as there are. `0` suspends the app: its
    /// Service and its stores stay.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 0, max = 5000))]
    pub replicas: i32,

    /// The Service of the app's name.
    #[serde(default)]
    pub service: ServiceSpec,

    /// Environment that the guests see. Unset keeps what the image declares; set replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "validation::env_schema")]
    pub env: Option<Vec<EnvVar>>,

    /// Secrets and ConfigMaps whose keys the guests see as environment. Of two with the same key the
    /// later counts; `env` comes before all of them, and what the image declares after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub env_from: Option<Vec<EnvFromSource>>,

    /// Values that the guests read through the interfaces `fermyon:spin/variables`,
    /// `fermyon:spin/config` and `wasi:config`. They give a Spin app the values of the variables that
    /// it declares. A change reaches running apps without a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "validation::variables_schema")]
    pub variables: Option<Vec<Variable>>,
    /// Labels of stores that are not where the default says, or that the image does not declare.
    /// Every component may open them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), extend(
        "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["label", "interface"]
    ))]
    pub stores: Option<Vec<AppStore>>,

    /// Bounds on what the app may use, on each node that serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,

    /// Secrets of type `kubernetes.io/dockerconfigjson` of this namespace that open the registry.
    /// Those of the namespace's default service account count too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend(
        "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]
    ))]
    pub image_pull_secrets: Vec<LocalObjectReference>,

    /// Labels that a node must have to serve the app.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "validation::label_map_schema")]
    pub node_selector: BTreeMap<String, String>,
}

/// A component of an app that is put together in its manifest.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    /// Name of the component, unique in the app. It appears in logs and conditions.
    #[schemars(length(min = 1, max = 63), pattern(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// OCI reference of an artifact that holds one component.
    #[schemars(length(min = 1, max = 512), pattern(r"^[^\s]+$"))]
    pub image: String,

    /// Paths that reach the component, in Spin's syntax: `/a` exactly, `/a/:id` with a parameter,
    /// `/a/...` with all that is below. The longest literal match wins.
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 1024), pattern(r"^/[^\s?#]*$"))
    )]
    pub routes: Vec<String>,

    /// Environment of this component, instead of the app's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "validation::env_schema")]
    pub env: Option<Vec<EnvVar>>,

    /// Secrets and ConfigMaps whose keys this component sees as environment, instead of the app's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub env_from: Option<Vec<EnvFromSource>>,

    /// Variables of this component, instead of the app's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "validation::variables_schema")]
    pub variables: Option<Vec<Variable>>,
}

/// Names an object of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalObjectReference {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

fn default_replicas() -> i32 {
    2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_lines_are_an_app_with_every_default() {
        let app: App = crate::yaml::from_str(
            "apiVersion: shoal.dev/v1alpha1\nkind: App\nmetadata: {name: hello}\nspec:\n  image: registry.example/hello:1\n",
        )
        .unwrap();
        assert_eq!(app.spec.replicas, 2);
        assert_eq!(app.spec.service, ServiceSpec::default());
        assert_eq!(app.spec.service.port, 80);
        assert_eq!(app.spec.env, None, "unset env keeps the image's own");
    }

    #[test]
    fn an_empty_env_is_not_an_unset_one() {
        let spec: AppSpec = crate::yaml::from_str("{image: a, env: []}").unwrap();
        assert_eq!(spec.env, Some(Vec::new()));
    }
}
