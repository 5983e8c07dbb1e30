//! How long the server has been out of reach, and what is logged of it.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::fault::{Again, Fault};

/// A server that has been away for this long fails calls at once: those who wait would only pile up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of those calls one is made this often, to see whether it is back.
const PROBE_EVERY: Duration = Duration::from_millis(500);
/// Connections to a server that takes no writes are made anew this often, to find one that does.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// A fault that goes on is logged this often.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Default)]
pub(crate) struct Health(Mutex<State>);

#[derive(Default)]
struct State {
    away_since: Option<Instant>,
    probed: Option<Instant>,
    logged: Option<Instant>,
    renewed: Option<Instant>,
}

impl State {
    fn is_long_away(&self) -> bool {
        self.away_since
            .is_some_and(|since| since.elapsed() >= PATIENCE)
    }
}

impl Health {
    /// Whether a call may try to reach the server now.
    pub(crate) fn may_try(&self) -> bool {
        let mut state = self.0.lock();
        if !state.is_long_away() {
            return true;
        }
        let due = state.probed.is_none_or(|at| at.elapsed() >= PROBE_EVERY);
        if due {
            state.probed = Some(Instant::now());
        }
        due
    }

    /// Whether all connections may be made anew now: not for every call that a read-only server refuses.
    pub(crate) fn may_renew(&self) -> bool {
        let mut state = self.0.lock();
        let due = state.renewed.is_none_or(|at| at.elapsed() >= RENEW_EVERY);
        if due {
            state.renewed = Some(Instant::now());
        }
        due
    }

    /// The server answered.
    pub(crate) fn reached(&self) {
        self.0.lock().away_since = None;
    }

    /// A call failed. Whether one that never reached the server may wait for it.
    pub(crate) fn failed(&self, prefix: &str, fault: &Fault) -> bool {
        let mut state = self.0.lock();
        match fault.again {
            Again::WhenReached => {
                state.away_since.get_or_insert_with(Instant::now);
            }
            _ if fault.connection_is_well => state.away_since = None,
            _ => {}
        }
        if state.logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            state.logged = Some(Instant::now());
            tracing::warn!(prefix, code = fault.code, "a call to Postgres failed");
        }
        !state.is_long_away()
    }
}
