//! Deaths of guests in the log: the first few of every second, and how many more there were.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lines in a window, for one app.
const LINES: u32 = 5;
const WINDOW: Duration = Duration::from_secs(1);

/// One app's share of the log.
#[derive(Default)]
pub struct TrapLog(Mutex<State>);

#[derive(Default)]
struct State {
    since: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl TrapLog {
    /// Whether to write a line now; if so, how many were left out before it.
    pub(super) fn write(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock();
        if state
            .since
            .is_none_or(|since| now.saturating_duration_since(since) >= WINDOW)
        {
            (state.since, state.written) = (Some(now), 0);
        }
        if state.written >= LINES {
            state.left_out = state.left_out.saturating_add(1);
            return None;
        }
        state.written = state.written.saturating_add(1);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_of_traps_is_counted_not_written() {
        let (log, now) = (TrapLog::default(), Instant::now());
        assert_eq!(
            (0..100).filter(|_| log.write(now).is_some()).count(),
            LINES as usize
        );
        assert_eq!(log.write(now + WINDOW), Some(100 - u64::from(LINES)));
    }
}
