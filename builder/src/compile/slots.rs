//! How many children work at once.

use std::fs;

/// Kept of the container's memory for this process itself: a component that is looked into, and the
/// files of the cache.
const RESERVE: u64 = 512 << 20;

/// As many as there are processors, and as have room when each takes all the memory it may: past its
/// limit the kernel may end the whole container, and what it worked on would begin again for ever.
pub(super) fn count(memory_of_each: u64) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    fitting(processors, cgroup_memory(), memory_of_each)
}

fn fitting(processors: usize, memory: Option<u64>, memory_of_each: u64) -> usize {
    let Some(memory) = memory else {
        return processors;
    };
    let room = memory.saturating_sub(RESERVE) / memory_of_each.max(1);
    usize::try_from(room)
        .unwrap_or(usize::MAX)
        .clamp(1, processors.max(1))
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
    fn children_at_once_fit_into_the_containers_memory() {
        let (mib, gib) = (1 << 20, 1 << 30);
        for (processors, memory, of_each, expected) in [
            (8, None, 1536 * mib, 8),
            (8, Some(2 * gib), 1536 * mib, 1),
            (8, Some(4 * gib), 1536 * mib, 2),
            (2, Some(64 * gib), 1536 * mib, 2),
            (4, Some(256 * mib), 1536 * mib, 1),
            // What version 1 calls no limit.
            (4, Some(u64::MAX >> 1), 1536 * mib, 4),
            (4, Some(gib), 0, 4),
        ] {
            let slots = fitting(processors, memory, of_each);
            assert_eq!(slots, expected, "{processors} {memory:?} {of_each}");
        }
    }
}
