//! What the kernel lets this process have, read once, and what of it is for code.

use std::fs;

use nix::sys::resource::{Resource, getrlimit};

use crate::code::Amount;

/// Limits of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KernelLimits {
    /// `vm.max_map_count`
    mappings: u64,
    /// `RLIMIT_NOFILE`
    descriptors: u64,
    /// Of the cgroup, or of the machine: bytes.
    pub(super) memory: u64,
}

/// Mappings of the process itself: its program, libraries, threads, allocator and databases.
const OWN_MAPPINGS: u64 = 2000;
/// Mappings of each instance slot: its memory's parts, and two for each of its two stacks. See
/// `docs/performance.md`.
const MAPPINGS_PER_SLOT: u64 = 8;

impl KernelLimits {
    /// Those of this process.
    pub(super) fn read() -> Self {
        Self {
            mappings: max_map_count().unwrap_or(65_530),
            descriptors: getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft),
            memory: memory(),
        }
    }

    /// What mapped code may take beside so many instance slots: all mappings that are left, a third of the
    /// descriptors (listeners and connections have the others), a tenth of the memory.
    pub(super) fn code(&self, slots: u32) -> Amount {
        let slots = u64::from(slots).saturating_mul(MAPPINGS_PER_SLOT);
        Amount {
            mappings: self
                .mappings
                .saturating_sub(slots.saturating_add(OWN_MAPPINGS)),
            descriptors: self.descriptors / 3,
            bytes: self.memory / 10,
        }
    }
}

fn max_map_count() -> Option<u64> {
    let text = fs::read_to_string("/proc/sys/vm/max_map_count").ok()?;
    text.trim().parse().ok()
}

fn memory() -> u64 {
    let total = machine_memory().unwrap_or(2 << 30);
    cgroup_memory().map_or(total, |limit| limit.min(total))
}

fn machine_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The limit of this container's cgroup, version 2 or 1, if it has one.
fn cgroup_memory() -> Option<u64> {
    let read = |path| fs::read_to_string(path).ok()?.trim().parse().ok();
    read("/sys/fs/cgroup/memory.max")
        .or_else(|| read("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_gets_what_slots_and_the_process_leave() {
        let limits = KernelLimits {
            mappings: 65_530,
            descriptors: 65_536,
            memory: 2 << 30,
        };
        let code = limits.code(1000);
        assert_eq!(code.mappings, 55_530);
        assert_eq!(code.descriptors, 21_845);
        assert_eq!(limits.code(20_000).mappings, 0, "not less than nothing");
    }
}
