//! The bytes that all Stores hold together, and may hold.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::KeyValueError;

/// See the module.
pub(crate) struct Ledger {
    used: AtomicU64,
    max: u64,
}

impl Ledger {
    pub(crate) fn new(max: u64) -> Self {
        Self {
            used: AtomicU64::new(0),
            max,
        }
    }

    /// Takes `bytes` more, or none.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), KeyValueError> {
        let more = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.max);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .map(|_| ())
            .map_err(|_| {
                let max = self.max;
                KeyValueError::Unavailable(format!(
                    "its memory is full: all Stores of backend `memory` share {max} bytes"
                ))
            })
    }

    /// Gives `bytes` back that were taken.
    pub(crate) fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}
