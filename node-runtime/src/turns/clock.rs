//! How long a turn took.

use std::time::Instant;

use nix::time::{ClockId, clock_gettime};

/// Turns longer than this are measured by the processor's own count, in nanoseconds: whoever takes so long may have
/// been interrupted meanwhile. To ask for it is a call of the system, which most requests are too short for.
const LONG: u64 = 200_000;

/// A turn under way, on the thread that it began on.
pub(super) enum Clock {
    /// By the wall.
    Wall(Instant),
    /// By the processor time of the thread, in nanoseconds.
    Thread(u64),
}

impl Clock {
    /// `is_long`: the last turn of the same guest was.
    pub(super) fn start(is_long: bool) -> Self {
        match is_long {
            true => Self::Thread(thread_time()),
            false => Self::Wall(Instant::now()),
        }
    }

    /// Nanoseconds since then, and whether that is long.
    pub(super) fn stop(self) -> (u64, bool) {
        let took = match self {
            Self::Wall(began) => u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX),
            Self::Thread(began) => thread_time().saturating_sub(began),
        };
        (took, took > LONG)
    }
}

/// Processor time of the calling thread; 0 where the system does not tell.
fn thread_time() -> u64 {
    let Ok(time) = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID) else {
        return 0;
    };
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    part(time.tv_sec())
        .saturating_mul(1_000_000_000)
        .saturating_add(part(time.tv_nsec()))
}
