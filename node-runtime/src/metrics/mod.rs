//! What the node counts.

mod app;
mod registry;
mod stores;
mod traps;

pub(crate) use app::Durations;
pub use app::{AppMetrics, Source};
pub use registry::{Metrics, encode};
pub use traps::TrapCounters;
