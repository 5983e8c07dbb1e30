//! What an artifact holds, as far as an App needs to know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shoal_artifact::{Digest, Route, variables::Declared};

/// The components of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// At least one.
    pub components: Vec<ComponentDescription>,
    /// Variables that the app declares.
    pub variables: Declared,
}

/// One component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentDescription {
    /// Empty: the artifact is a single component and names none.
    pub name: String,
    /// Of the component as compiled, after componentising.
    pub digest: Digest,
    /// At least one.
    pub routes: Vec<Route>,
    /// Environment that the artifact declares.
    pub env: BTreeMap<String, String>,
    /// Labels of key-value stores that it opens.
    pub key_value_stores: Vec<String>,
    /// Labels of SQL databases that it opens.
    #[serde(default)]
    pub sqlite_databases: Vec<String>,
    /// Labels of stores of objects that it opens.
    #[serde(default)]
    pub blob_stores: Vec<String>,
    /// Imports as `namespace:package/interface@version`, sorted.
    pub imports: Vec<String>,
    /// Variables that it reads: templates that name the app's.
    pub variables: BTreeMap<String, String>,
}
