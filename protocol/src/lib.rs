//! What the parts of Shoal say to each other, and how they know whom they are talking to.
//!
//! - [`v1`]: the gRPC messages and services, generated from `proto/shoal/v1/*.proto`; the comments there
//!   are the contract.
//! - [`Identity`]: who a part is, as its certificate says it.
//! - [`CertificateAuthority`]: the operator's side of certificates; [`enrolment`]: everyone else's.
//! - [`LiveIdentity`]: a part's key, certificate and trusted authorities as they are now; the TLS
//!   configurations made from it follow every renewal without a restart.
//! - [`server`] and [`client`]: gRPC over mutual TLS, with bounds and deadlines.
//! - [`Grants`]: which pod may open which Store and fetch which code.
//! - [`Precedence`]: which of the operator's replicas is obeyed.

mod ca;
pub mod client;
pub mod enrolment;
pub mod flags;
mod grants;
mod identity;
mod identity_file;
mod leaf;
mod live_identity;
pub mod log;
mod precedence;
mod redacted;
mod replicas;
pub mod server;
pub mod shutdown;
pub mod state_file;
mod tls;
mod trust;

/// Metadata of a status whose message the store pod wrote for whoever asked; every other message may name hosts.
pub const OWN_MESSAGE: &str = "shoal-message";
/// Most bytes of a message between store pod and operator about the content of a Store, either way.
pub const TRANSFER_MESSAGE_BYTES: usize = 17 * 1024 * 1024;

#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated code; its documentation is in the .proto files"
)]
pub mod v1 {
    tonic::include_proto!("shoal.v1");
}

pub use ca::{CERTIFICATE_LIFE, CertificateAuthority, IssueError, Issued};
pub use grants::{GrantTable, Grants};
pub use identity::{Identity, InvalidIdentity, Role};
pub use live_identity::{ClientAuth, LiveIdentity, TlsError};
pub use precedence::Precedence;
pub use replicas::{Replicas, ReplicasChange, with_each};
pub use trust::Trust;

/// Version of the protocol that this build speaks; see `Hello` and `Welcome`.
pub const PROTOCOL_VERSION: u32 = 1;
