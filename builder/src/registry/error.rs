//! What goes wrong with a registry, and what an App's developer is told about it.

use std::time::Duration;

use shoal_artifact::{Digest, Reason, Refusal};

use super::ImageReference;

/// Why something could not be had from a registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// 404: there is no such manifest or blob.
    #[error("there is no {0}")]
    NotFound(String),
    /// 401 or 403.
    #[error("access was refused")]
    Unauthorized,
    /// It cannot be reached, is overloaded, or speaks another protocol.
    #[error("{0}")]
    Unavailable(String),
    /// Other bytes than the digest says.
    #[error("{0} came with other bytes than its digest says")]
    Altered(Digest),
    /// More bytes than allowed or stated.
    #[error("{what} is larger than {bound} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// How many bytes were allowed.
        bound: u64,
    },
    /// The extra certificate authorities cannot be used.
    #[error("`registries.ca` of the pool is not valid: {0}")]
    InvalidCa(String),
    /// The storage that it was written to failed.
    #[error("writing what was pulled failed: {0}")]
    Storage(std::io::Error),
}

/// Someone may push the image, or mend the secret, at any time.
const RETRY_LATER: Duration = Duration::from_secs(30);
const RETRY_SOON: Duration = Duration::from_secs(10);

impl RegistryError {
    /// The reason and message for an App. `with_login`: a pull secret names this registry.
    pub fn refusal(self, image: &ImageReference, with_login: bool) -> Refusal {
        let registry = image.registry();
        let (reason, message, after) = match self {
            Self::NotFound(what) => (
                Reason::ImageNotFound,
                format!("image `{image}`: registry `{registry}` has no {what}"),
                Some(RETRY_LATER),
            ),
            Self::Unauthorized => {
                let why = if with_login {
                    "the pull secrets of the App were refused"
                } else {
                    "it asks for credentials and no pull secret of the App names it"
                };
                let message =
                    format!("image `{image}`: registry `{registry}` gives no access: {why}");
                (Reason::ImagePullUnauthorized, message, Some(RETRY_LATER))
            }
            Self::TooLarge { .. } => (
                Reason::UnsupportedArtifact,
                format!("image `{image}`: {self}"),
                None,
            ),
            Self::Storage(_) => (
                Reason::BuilderUnavailable,
                format!("image `{image}`: {self}"),
                Some(RETRY_SOON),
            ),
            Self::Unavailable(_) | Self::Altered(_) | Self::InvalidCa(_) => (
                Reason::RegistryUnavailable,
                format!("image `{image}`: registry `{registry}`: {self}"),
                Some(RETRY_SOON),
            ),
        };
        let refusal = Refusal::new(reason, message);
        match after {
            Some(after) => refusal.retry_after(after),
            None => refusal,
        }
    }
}

impl From<reqwest::Error> for RegistryError {
    fn from(error: reqwest::Error) -> Self {
        Self::Unavailable(describe(&error))
    }
}

/// The innermost causes in one line: the outer words of an HTTP client say little.
fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".into();
    }
    let mut causes: Vec<String> = Vec::new();
    let mut source: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    causes.dedup();
    let words = if error.is_connect() {
        "it cannot be reached"
    } else {
        "the request failed"
    };
    match causes.last() {
        Some(cause) => format!("{words}: {cause}"),
        None => words.into(),
    }
}
