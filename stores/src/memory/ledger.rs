//! The bytes that all Stores hold together, and may hold.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use crate::{KeyValueError, shortage::Refusals};

/// See the module.
pub(crate) struct Ledger {
    used: AtomicU64,
    max: u64,
    refusals: Refusals,
}

impl Ledger {
    pub(crate) fn new(max: u64) -> Self {
        Self {
            used: AtomicU64::new(0),
            max,
            refusals: Refusals::default(),
        }
    }

    /// Takes `bytes` more, or none.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), KeyValueError> {
        let more = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.max);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .map(|_| ())
            .map_err(|_| {
                // What is larger than all of it says nothing of how full it is.
                if bytes <= self.max {
                    self.refusals.met(bytes, Instant::now());
                }
                self.full()
            })
    }

    /// Whether a write that found no room a short while ago would find none now; the error that it had.
    pub(crate) fn shortage(&self) -> Option<KeyValueError> {
        let wanted = self.refusals.largest(Instant::now())?;
        (wanted > self.max.saturating_sub(self.used())).then(|| self.full())
    }

    fn full(&self) -> KeyValueError {
        let max = self.max;
        KeyValueError::Unavailable(format!(
            "its memory is full: all Stores of backend `memory` share {max} bytes"
        ))
    }

    /// Gives `bytes` back that were taken.
    pub(crate) fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}
