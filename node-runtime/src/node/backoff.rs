//! When to try again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

/// Longer after each failure, and never the same for everybody.
#[derive(Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    /// How long to wait before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        let full = FIRST
            .saturating_mul(1_u32.checked_shl(self.0).unwrap_or(u32::MAX))
            .min(LONGEST);
        self.0 = self.0.saturating_add(1).min(16);
        let noise = uuid::Uuid::new_v4().as_u128() % 1000;
        let part = 0.5 + f64::from(u16::try_from(noise).unwrap_or_default()) / 2000.0;
        full.mul_f64(part)
    }

    /// It worked: the next failure is the first one.
    pub(crate) fn reset(&mut self) {
        self.0 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_bound() {
        let mut backoff = Backoff::default();
        assert!(backoff.next() <= FIRST);
        let last = (0..50).map(|_| backoff.next()).last().unwrap();
        assert!(last <= LONGEST && last >= LONGEST / 2);
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
