//! What a guest is given to read: environment and variables, and where their values come from.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One variable of a guest's environment.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.value) && has(self.valueFrom))")
    .message("at most one of `value` and `valueFrom` may be set"))]
pub struct EnvVar {
    /// Name of the variable: any text without `=`.
    #[schemars(length(min = 1, max = 256), pattern(r"^[^=\x00]+$"))]
    pub name: String,

    /// Its value. Without it, and without `valueFrom`, the variable is there and empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32768))]
    pub value: Option<String>,

    /// Where its value comes from, instead of `value`. A change reaches the running app by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueSource>,
}

/// One variable that guests read through a configuration interface.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.value) != has(self.valueFrom)")
    .message("exactly one of `value` and `valueFrom` is required"))]
pub struct Variable {
    /// Name of the variable. That of a variable which a Spin app declares gives it its value; any
    /// other is read by guests under this very name.
    #[schemars(length(min = 1, max = 128), pattern(r"^[A-Za-z_][-._A-Za-z0-9]*$"))]
    pub name: String,

    /// Its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32768))]
    pub value: Option<String>,

    /// Where its value comes from, instead of `value`. A change reaches the running app by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueSource>,
}

/// Where a value comes from: a key of a Secret or of a ConfigMap of the App's namespace.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secretKeyRef) != has(self.configMapKeyRef)")
    .message("exactly one of `secretKeyRef` and `configMapKeyRef` is required"))]
pub struct ValueSource {
    /// A key of a Secret of this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeySelector>,

    /// A key of a ConfigMap of this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeySelector>,
}

/// A key of an object of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeySelector {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// The key in its `data`. The value must be text in UTF-8.
    #[schemars(length(min = 1, max = 253), pattern(r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,

    /// Whether the app runs without the value while the object or the key is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

/// Every key of a Secret or of a ConfigMap as a variable of the environment.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secretRef) != has(self.configMapRef)")
    .message("exactly one of `secretRef` and `configMapRef` is required"))]
pub struct EnvFromSource {
    /// What is put before each key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128), pattern(r"^[^=\x00]*$"))]
    pub prefix: String,

    /// A Secret of this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<ObjectSelector>,

    /// A ConfigMap of this namespace. Its `binaryData` does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<ObjectSelector>,
}

/// An object of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectSelector {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Whether the app runs without it while it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

/// The kinds of objects that hold values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SourceKind {
    /// `v1/Secret`
    Secret,
    /// `v1/ConfigMap`
    ConfigMap,
}

impl SourceKind {
    /// As manifests write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }
}

impl std::fmt::Display for SourceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ValueSource {
    /// Which key of which kind of object; `None` where none is named, which the API server refuses.
    pub fn selected(&self) -> Option<(SourceKind, &KeySelector)> {
        match (&self.secret_key_ref, &self.config_map_key_ref) {
            (Some(selector), _) => Some((SourceKind::Secret, selector)),
            (None, Some(selector)) => Some((SourceKind::ConfigMap, selector)),
            (None, None) => None,
        }
    }
}

impl EnvFromSource {
    /// Which object of which kind; `None` where none is named, which the API server refuses.
    pub fn selected(&self) -> Option<(SourceKind, &ObjectSelector)> {
        match (&self.secret_ref, &self.config_map_ref) {
            (Some(selector), _) => Some((SourceKind::Secret, selector)),
            (None, Some(selector)) => Some((SourceKind::ConfigMap, selector)),
            (None, None) => None,
        }
    }
}

impl EnvVar {
    /// A variable with a value of its own.
    pub fn literal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: Some(value.into()),
            value_from: None,
        }
    }
}
