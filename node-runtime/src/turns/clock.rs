//! Processor time of the calling thread.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds; 0 where the system does not tell.
pub(super) fn thread_time() -> u64 {
    let Ok(time) = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID) else {
        return 0;
    };
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    part(time.tv_sec())
        .saturating_mul(1_000_000_000)
        .saturating_add(part(time.tv_nsec()))
}
