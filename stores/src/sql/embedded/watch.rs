//! When a statement has to end: asked by SQLite while it runs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use parking_lot::Mutex;

/// Steps of SQLite's machine between two questions: those of a few rows, for a function may take long. Fewer make an ordinary
/// query slower (a full scan by a fifth with 25, by 4 % with 100), more do not make it faster.
pub(super) const STEPS: i32 = 200;

/// Whether a caller still waits for its answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller(Arc<AtomicBool>);

/// To be dropped when the caller no longer waits.
#[derive(Debug)]
pub(super) struct Waits(Caller);

impl Caller {
    pub(super) fn waits(&self) -> Waits {
        Waits(self.clone())
    }

    pub(super) fn is_gone(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// The watch over one connection; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch(Arc<Mutex<Option<(Instant, Caller)>>>);

impl Watch {
    /// What runs from now on ends at `deadline`, or when `caller` is gone.
    pub(super) fn start(&self, deadline: Instant, caller: Caller) {
        *self.0.lock() = Some((deadline, caller));
    }

    /// What runs from now on is not ended.
    pub(super) fn stop(&self) {
        *self.0.lock() = None;
    }

    /// Whether what runs has to end now.
    pub(super) fn is_over(&self) -> bool {
        self.0
            .lock()
            .as_ref()
            .is_some_and(|(deadline, caller)| caller.is_gone() || Instant::now() >= *deadline)
    }
}
