//! Names of objects.

use std::{fmt, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;

/// Namespace and name of an object. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

/// Names an App, and so also its Service.
pub type AppKey = ObjectKey;

impl ObjectKey {
    /// A key of its parts.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The key of an object that is in no namespace.
    pub fn cluster_wide(name: &str) -> Self {
        Self::new("", name)
    }

    /// Whether it is the key of an object that is in no namespace. Of what is planned, StoreClasses are.
    pub fn is_cluster_wide(&self) -> bool {
        self.namespace.is_empty()
    }

    /// The key of an object; parts that it lacks are empty.
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self::new(
            metadata.namespace.as_deref().unwrap_or_default(),
            metadata.name.as_deref().unwrap_or_default(),
        )
    }

    /// The key of another object of the same namespace.
    pub fn sibling(&self, name: &str) -> Self {
        Self {
            namespace: Arc::clone(&self.namespace),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Names an App as the streams do: `uid` tells it from a later one of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct AppRef {
    /// `metadata.namespace`
    pub namespace: String,
    /// `metadata.name`
    pub name: String,
    /// `metadata.uid`
    pub uid: String,
}

impl AppRef {
    /// The reference to the App `key` that has this uid.
    pub fn new(key: &AppKey, uid: &str) -> Self {
        Self {
            namespace: key.namespace.to_string(),
            name: key.name.to_string(),
            uid: uid.to_owned(),
        }
    }

    /// Its key.
    pub fn key(&self) -> AppKey {
        AppKey::new(&self.namespace, &self.name)
    }
}
