//! Which operator leads: the one of the highest epoch.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// An epoch that was not heard of for so long counts no more: several times the life of a lease. So
/// a Lease that was deleted, whose epochs begin anew, does not leave the node without an operator.
const FORGET: Duration = Duration::from_secs(60);

/// The epochs of the streams that are, or were a moment ago.
#[derive(Default)]
pub(super) struct Epochs {
    heard: HashMap<u64, (u64, Instant)>,
}

impl Epochs {
    /// Notes that `stream` spoke with `epoch`. Whether it is the highest.
    pub(super) fn obey(&mut self, stream: u64, epoch: u64, now: Instant) -> bool {
        self.heard
            .retain(|_, (_, at)| now.saturating_duration_since(*at) < FORGET);
        self.heard.insert(stream, (epoch, now));
        self.heard.values().all(|(other, _)| *other <= epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_highest_epoch_is_obeyed() {
        let (mut epochs, now) = (Epochs::default(), Instant::now());
        assert!(epochs.obey(1, 5, now));
        assert!(!epochs.obey(2, 4, now));
        assert!(epochs.obey(2, 6, now));
        assert!(!epochs.obey(1, 5, now));
        assert!(
            epochs.obey(1, 6, now),
            "a replica that has learnt of the new epoch"
        );
    }

    #[test]
    fn a_lease_that_began_anew_is_obeyed_after_a_while() {
        let (mut epochs, now) = (Epochs::default(), Instant::now());
        assert!(epochs.obey(1, 9, now));
        assert!(!epochs.obey(2, 1, now + FORGET / 2));
        assert!(epochs.obey(2, 1, now + FORGET));
    }
}
