//! What a compile may use.

use std::time::Duration;

/// Limits of one child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Wall clock, from start to the last byte.
    pub timeout: Duration,
    /// Processor time of all its threads together, in seconds.
    pub cpu_seconds: u64,
    /// Address space, in bytes.
    pub memory_bytes: u64,
    /// What it may write, in bytes.
    pub output_bytes: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(120),
            cpu_seconds: 240,
            memory_bytes: 1536 << 20,
            output_bytes: 1 << 30,
        }
    }
}
