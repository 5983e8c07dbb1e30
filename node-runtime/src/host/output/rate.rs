//! How much an app may print: a bucket of lines and one of bytes.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// What an app may print in a second, after it printed so much at once.
const LINES_PER_SECOND: u64 = 500;
const LINES_AT_ONCE: u64 = 1000;
const BYTES_PER_SECOND: u64 = 256 << 10;
const BYTES_AT_ONCE: u64 = 512 << 10;

/// One app's share.
pub struct OutputBudget(Mutex<State>);

struct State {
    lines: u64,
    bytes: u64,
    filled: Instant,
    dropped: u64,
}

impl Default for OutputBudget {
    fn default() -> Self {
        Self(Mutex::new(State {
            lines: LINES_AT_ONCE,
            bytes: BYTES_AT_ONCE,
            filled: Instant::now(),
            dropped: 0,
        }))
    }
}

impl OutputBudget {
    /// Whether a line of `bytes` may be printed now; if so, how many were dropped before it.
    pub(super) fn take(&self, bytes: usize, now: Instant) -> Option<u64> {
        let mut state = self.0.lock();
        state.fill(now);
        let bytes = bytes as u64;
        match (state.lines.checked_sub(1), state.bytes.checked_sub(bytes)) {
            (Some(lines), Some(left)) => {
                (state.lines, state.bytes) = (lines, left);
                Some(std::mem::take(&mut state.dropped))
            }
            _ => {
                state.dropped = state.dropped.saturating_add(1);
                None
            }
        }
    }

    /// A line that was allowed got lost after all, with the count that it carried.
    pub(super) fn lost(&self, carried: u64) {
        let mut state = self.0.lock();
        state.dropped = state.dropped.saturating_add(carried).saturating_add(1);
    }
}

impl State {
    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled);
        // In steps of a few lines, so that nothing is lost to rounding.
        if elapsed < Duration::from_millis(10) {
            return;
        }
        let milliseconds = u64::try_from(elapsed.as_millis())
            .unwrap_or(u64::MAX)
            .min(10_000);
        self.lines = (self.lines + LINES_PER_SECOND * milliseconds / 1000).min(LINES_AT_ONCE);
        self.bytes = (self.bytes + BYTES_PER_SECOND * milliseconds / 1000).min(BYTES_AT_ONCE);
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_lines_are_dropped_and_counted_by_the_next() {
        let budget = OutputBudget::default();
        let start = Instant::now();
        let taken = (0..5000)
            .filter(|_| budget.take(1, start).is_some())
            .count() as u64;
        assert_eq!(taken, LINES_AT_ONCE);
        let later = start + Duration::from_secs(1);
        assert_eq!(budget.take(1, later), Some(5000 - LINES_AT_ONCE));
        assert_eq!(budget.take(1, later), Some(0));
    }

    #[test]
    fn long_lines_use_the_share_up_too() {
        let budget = OutputBudget::default();
        let start = Instant::now();
        let taken = (0..100)
            .filter(|_| budget.take(64 << 10, start).is_some())
            .count();
        assert_eq!(taken, 8);
    }
}
