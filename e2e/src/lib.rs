//! What the whole-cluster tests in `tests/cluster/` are written with.
//!
//! Everything goes the way a person goes: `kubectl` for objects, `shoal push` for images, `curl`
//! from inside a node for requests. Nothing here reaches into Shoal.

// A test that cannot go on says why and fails; there is nobody to hand an error to.
#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "this library is used by tests alone"
)]

mod app;
mod ask;
mod audit;
mod class;
mod counted;
mod database;
mod document;
mod http;
mod image;
mod kubectl;
mod load;
mod namespace;
mod person;
mod process;
mod wait;

pub use app::{App, condition};
pub use ask::ask;
pub use audit::{Writes, settled};
pub use class::Class;
pub use counted::{Comparison, Counted, Order};
pub use database::{Postgres, Redis, S3};
pub use document::{blocks, commands, pages, run};
pub use http::{Answer, get, get_all, request};
pub use image::{image, push_bytes};
pub use kubectl::{Outcome, apply, cluster, delete, json, kubectl, try_kubectl};
pub use load::{Load, Report, Target};
pub use namespace::Namespace;
pub use person::{Person, shoal};
pub use process::kill_process_of_pod;
pub use wait::{LONG, SHORT, eventually, until};

/// Namespace of Shoal's own parts.
pub const SYSTEM: &str = "shoal-system";
