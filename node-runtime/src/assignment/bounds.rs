//! How much one assignment may hold. Past a bound it is refused, whoever sent it.

use std::ops::RangeInclusive;

pub(super) const NAME: usize = 253;
pub(super) const HASH: usize = 128;
pub(super) const COMPONENTS: usize = 64;
pub(super) const ROUTES: usize = 1024;
pub(super) const ENV_ENTRIES: usize = 1024;
pub(super) const ENV_NAME: usize = 256;
pub(super) const ENV_BYTES: usize = 1 << 20;
pub(super) const STORES: usize = 64;
pub(super) const LABEL: usize = 256;

/// Largest sizes and times that a limit may ask for.
pub(super) const MEMORY: u64 = 1 << 40;
pub(super) const INSTANCE_MEMORY: u64 = 4 << 30;
pub(super) const CONCURRENCY: u32 = 100_000;
pub(super) const REQUEST_BODY: u64 = 1 << 40;
pub(super) const MILLISECONDS: u64 = 24 * 60 * 60 * 1000;

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
