//! How much one assignment may hold. Past a bound it is refused, whoever sent it. What an app is made
//! of is bounded as where it is built, so that nothing that was built is refused here.

use std::ops::RangeInclusive;

use shoal_artifact::limits;

pub(super) use shoal_artifact::limits::{
    COMPONENTS, ENV_ENTRIES, LABELS as STORES, NAME_BYTES, ROUTES,
};

/// A name of Kubernetes.
pub(super) const NAME: usize = 253;
pub(super) const HASH: usize = 128;
/// All of it was in one file of this size, or in one object of Kubernetes, which is smaller.
pub(super) const ENV_BYTES: usize = limits::CONFIG_BYTES as usize;

/// Largest sizes and times that a limit may ask for.
pub(super) const MEMORY: u64 = 1 << 40;
pub(super) const INSTANCE_MEMORY: u64 = 4 << 30;
pub(super) const CONCURRENCY: u32 = 100_000;
pub(super) const REQUEST_BODY: u64 = 1 << 40;
pub(super) const MILLISECONDS: u64 = 24 * 60 * 60 * 1000;
pub(super) const CPU_MILLIS: u32 = 1_000_000;

/// Ports that apps may be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRange {
    allowed: RangeInclusive<u16>,
    reserved: RangeInclusive<u16>,
}

impl PortRange {
    /// Ports of a cluster's pools: 10000-32767 without 15000-15090, which mesh sidecars use.
    pub fn cluster() -> Self {
        Self {
            allowed: 10_000..=32_767,
            reserved: 15_000..=15_090,
        }
    }

    /// Whether an app may be given `port`.
    pub fn contains(&self, port: u16) -> bool {
        self.allowed.contains(&port) && !self.reserved.contains(&port)
    }
}
