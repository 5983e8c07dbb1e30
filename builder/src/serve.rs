//! The builder behind gRPC: mutual TLS in a cluster, a socket of its own outside of one.

mod convert;
mod health;
mod local;
mod service;

pub use convert::{description_message, refusal_message};
pub use health::serve_health;
pub use local::serve_local;
pub use service::{Access, ServeError, serve_cluster};
