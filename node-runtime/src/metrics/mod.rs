//! What the node counts.

mod app;
mod registry;
mod traps;

pub use app::{AppMetrics, Source};
pub use registry::{Metrics, encode};
pub use traps::TrapCounters;
