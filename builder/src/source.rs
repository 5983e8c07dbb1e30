//! Where an image comes from, and with whose rights.

use std::fmt;

/// An image reference and what opens its registry. For one request: never stored, never logged.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// OCI reference as in `spec.image`, or `file:` and a path where local files are allowed.
    pub image: String,
    /// Contents of `.dockerconfigjson`, one for each pull secret.
    pub pull_secrets: Vec<Vec<u8>>,
    /// `host[:port]` of registries that are spoken to in plain HTTP.
    pub insecure: Vec<String>,
    /// PEM of extra certificate authorities.
    pub ca: String,
}

impl Source {
    /// An image that anyone may pull.
    pub fn public(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            ..Self::default()
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("image", &self.image)
            .field("pull_secrets", &self.pull_secrets.len())
            .field("insecure", &self.insecure)
            .finish_non_exhaustive()
    }
}
