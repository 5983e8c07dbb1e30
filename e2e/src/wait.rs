//! Waiting for a condition: the only place where the tests sleep.

use std::{
    fmt::Debug,
    thread,
    time::{Duration, Instant},
};

/// For what happens by itself within moments, on a machine that may stand still for longer than those.
pub const SHORT: Duration = Duration::from_secs(120);
/// For what compiles, pulls, or restarts a pod.
pub const LONG: Duration = Duration::from_secs(300);

const PAUSE: Duration = Duration::from_millis(100);

/// Waits until `check` gives something.
///
/// # Panics
/// Nothing came within `limit`; the message holds `what` and the last reason that `check` gave.
pub fn until<T, E: Debug>(
    what: &str,
    limit: Duration,
    mut check: impl FnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    loop {
        match check() {
            Ok(value) => return value,
            Err(reason) if start.elapsed() > limit => {
                panic!("waited {limit:?} for this: {what}; at last: {reason:?}")
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Waits until `check` holds.
///
/// # Panics
/// It did not within `limit`.
pub fn eventually(what: &str, limit: Duration, mut check: impl FnMut() -> bool) {
    until(
        what,
        limit,
        || if check() { Ok(()) } else { Err("not yet") },
    );
}
