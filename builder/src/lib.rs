//! The builder: turns an image into compiled, signed code, once per cluster.
//!
//! Pull (with the App's own credentials) -> inspect -> componentise -> compile (in a child process)
//! -> sign -> keep. As a library it is what `shoal up` calls in process; whoever links it calls
//! [`compile_child`] first in `main`.

mod builder;
pub mod cache;
pub mod compile;
mod description;
mod metrics;
mod options;
mod pull;
pub mod registry;
pub mod serve;
mod sign;
mod single_flight;
mod source;

pub use builder::{BuilderHandle, Code};
pub use compile::{CompileLimits, compile_child};
pub use description::{ComponentDescription, Description};
pub use metrics::Metrics;
pub use options::{OpenError, Options};
pub use sign::{KeyError, SigningKey};
pub use source::Source;
