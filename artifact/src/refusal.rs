//! Why an artifact does not run.

use std::{fmt, time::Duration};

/// Reasons as they stand in an App's conditions `ImageResolved` and `Built`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The image reference is not a valid OCI reference.
    InvalidImageReference,
    /// The registry does not have the image.
    ImageNotFound,
    /// The registry refuses the credentials, or asks for some.
    ImagePullUnauthorized,
    /// A pull secret is not what `kubernetes.io/dockerconfigjson` holds.
    PullSecretInvalid,
    /// The registry cannot be reached, or answers with an error.
    RegistryUnavailable,
    /// The image is none of the formats that are served, or larger than its bounds.
    UnsupportedArtifact,
    /// The app needs something that this version does not serve.
    UnsupportedFeature,
    /// A component's bytes are no valid WebAssembly.
    InvalidWasm,
    /// A component imports an interface that this version does not implement.
    UnsupportedImport,
    /// A component exports no HTTP handler that is served.
    NoHandler,
    /// A route is not valid, or two components have the same one.
    InvalidRoute,
    /// The compiler ended abnormally.
    CompilerCrashed,
    /// Compiling took longer than allowed.
    CompileTimeout,
    /// Compiling took more memory or processor time than allowed.
    CompileLimitExceeded,
    /// The builder cannot do its work now: its disk or its cache is full.
    BuilderUnavailable,
}

impl Reason {
    /// The word, in CamelCase.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidImageReference => "InvalidImageReference",
            Self::ImageNotFound => "ImageNotFound",
            Self::ImagePullUnauthorized => "ImagePullUnauthorized",
            Self::PullSecretInvalid => "PullSecretInvalid",
            Self::RegistryUnavailable => "RegistryUnavailable",
            Self::UnsupportedArtifact => "UnsupportedArtifact",
            Self::UnsupportedFeature => "UnsupportedFeature",
            Self::InvalidWasm => "InvalidWasm",
            Self::UnsupportedImport => "UnsupportedImport",
            Self::NoHandler => "NoHandler",
            Self::InvalidRoute => "InvalidRoute",
            Self::CompilerCrashed => "CompilerCrashed",
            Self::CompileTimeout => "CompileTimeout",
            Self::CompileLimitExceeded => "CompileLimitExceeded",
            Self::BuilderUnavailable => "BuilderUnavailable",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an artifact does not run: a reason, and a message that names what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// One word of the documented list.
    pub reason: Reason,
    /// What is wrong, where, and what to do.
    pub message: String,
    /// After which time asking again may help. `None`: only another image helps.
    pub retry_after: Option<Duration>,
}

/// Longest message, in bytes: names in it come from outside.
const MESSAGE_BYTES: usize = 4096;

impl Refusal {
    /// A refusal that stands until the image changes.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: shorten(message.into()),
            retry_after: None,
        }
    }

    /// The same, where asking again may help.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

fn shorten(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_any_length_is_cut_between_characters() {
        let refusal = Refusal::new(Reason::InvalidWasm, "ä".repeat(10_000));
        assert!(refusal.message.len() <= MESSAGE_BYTES + '…'.len_utf8());
        assert!(refusal.message.ends_with("ä…"));
    }
}
