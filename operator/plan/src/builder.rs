//! Questions to the builder, and its answers.

use std::collections::{BTreeMap, BTreeSet};

use shoal_artifact::variables::Declared;
use shoal_crds::Interface;

use crate::AppKey;

/// What the builder is to be asked. Stays in every plan of the App until it is answered; the caller asks equal
/// questions once at a time and tries again by itself while the builder cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Question {
    /// Which digest `image` is; answered with [`crate::Index::resolved`].
    Resolve {
        /// Whose credentials count.
        app: AppKey,
        /// OCI reference as in the App.
        image: String,
        /// `spec.imagePullSecrets`; the namespace's default service account's count too.
        pull_secrets: Vec<String>,
    },
    /// Build it and say what it holds; answered with [`crate::Index::built`].
    Build {
        /// Whose credentials count, if it must be pulled.
        app: AppKey,
        /// OCI reference as in the App.
        image: String,
        /// As in [`Question::Resolve`].
        pull_secrets: Vec<String>,
        /// `sha256:<64 hex>` of the manifest.
        digest: String,
        /// Engines to compile for; none: inspect only.
        engine_keys: BTreeSet<String>,
    },
}

/// What an artifact holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Its components.
    pub components: Vec<ComponentDescription>,
    /// Variables that the app declares.
    pub variables: Declared,
}

/// What a guest opens: a name within an interface.
pub type Label = (Interface, String);

/// One component of an artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComponentDescription {
    /// Empty: goes by the App's name.
    pub name: String,
    /// `sha256:<64 hex>` of the component as compiled.
    pub digest: String,
    /// Spin's route syntax.
    pub routes: Vec<String>,
    /// Environment that the artifact declares.
    pub env: BTreeMap<String, String>,
    /// Stores that it opens.
    pub labels: Vec<Label>,
    /// Variables that it reads: templates that name those that the app declares.
    pub variables: BTreeMap<String, String>,
}

/// Why an image is not resolved or not built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// CamelCase reason of the condition.
    pub reason: String,
    /// Exact message.
    pub message: String,
    /// Seconds after which asking again may help; 0: only another image helps.
    pub retry_after_seconds: u32,
}
