//! Without Kubernetes: a file of assignments instead of an operator's stream.
//!
//! The file is a YAML list of `{namespace, name, port, spec}`, where `spec` is an App's spec and an
//! image may also be `file:` and a path. It is followed as it changes.

mod builder;
mod child;
mod configuration;
mod file;
mod follow;
mod plan;
mod store_ids;

pub use builder::{BuilderError, LocalBuilder};
pub use child::ChildError;
pub use configuration::Configuration;
pub use file::{Entry, FileError};
pub use follow::{LocalConfig, follow};
pub use plan::assignment;
pub use store_ids::StoreIds;
