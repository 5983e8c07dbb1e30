//! Registries: resolving references and pulling blobs, with the credentials of one App.
//!
//! The OCI distribution API (<https://github.com/opencontainers/distribution-spec>), read with
//! bounds everywhere: a registry is named by whoever writes an App, and may be hostile.

mod challenge;
mod clients;
mod credentials;
mod error;
mod follow;
mod pace;
mod reference;
mod session;

pub use clients::Clients;
pub use credentials::{Login, PullSecrets};
pub use error::RegistryError;
pub use reference::ImageReference;
pub use session::Session;
