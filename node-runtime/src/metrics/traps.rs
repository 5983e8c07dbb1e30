//! Deaths of guests, by reason, of all apps together.

use parking_lot::Mutex;

/// Counts by reason.
#[derive(Default)]
pub struct TrapCounters(Mutex<Vec<(&'static str, u64)>>);

impl TrapCounters {
    pub(crate) fn count(&self, reason: &'static str) {
        let mut counts = self.0.lock();
        match counts.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => counts.push((reason, 1)),
        }
    }

    pub(super) fn all(&self) -> Vec<(&'static str, u64)> {
        self.0.lock().clone()
    }
}
