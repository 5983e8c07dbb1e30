//! Which of the operator's replicas is obeyed.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// What a lower epoch says counts once the sender of the higher one has been gone for this long: it is
/// then no late word of a former leader, but that of a leader whose count began anew.
const SENDER_GONE: Duration = Duration::from_secs(30);

/// The replica that spoke with the highest epoch. What nobody said (a file of a former process) outranks
/// nobody.
#[derive(Debug, Default)]
pub struct Precedence {
    epoch: u64,
    replica: Option<SocketAddr>,
    gone_since: Option<Instant>,
}

impl Precedence {
    /// Whether the replica that is obeyed counts more than one of `epoch`.
    pub fn outranks(&self, epoch: u64, now: Instant) -> bool {
        epoch < self.epoch
            && self.replica.is_some()
            && self
                .gone_since
                .is_none_or(|since| now.saturating_duration_since(since) < SENDER_GONE)
    }

    /// What `replica` said with `epoch` is what counts from now on.
    pub fn obey(&mut self, replica: SocketAddr, epoch: u64) {
        *self = Self {
            epoch,
            replica: Some(replica),
            gone_since: None,
        };
    }

    /// Whether this replica, with this epoch, is the one that is obeyed.
    pub fn is(&self, replica: SocketAddr, epoch: u64) -> bool {
        self.replica == Some(replica) && self.epoch == epoch
    }

    /// The stream of `replica` ended.
    pub fn gone(&mut self, replica: SocketAddr, now: Instant) {
        if self.replica == Some(replica) {
            self.gone_since.get_or_insert(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn a_former_leader_is_outranked_while_the_leader_is_there() {
        let (mut precedence, now) = (Precedence::default(), Instant::now());
        assert!(!precedence.outranks(0, now), "nobody outranks anybody yet");
        precedence.obey(replica(1), 5);
        assert!(precedence.outranks(4, now));
        assert!(!precedence.outranks(5, now));
        assert!(!precedence.outranks(6, now));
        precedence.gone(replica(1), now);
        assert!(precedence.outranks(4, now), "gone for a moment only");
        assert!(!precedence.outranks(4, now + SENDER_GONE));
    }

    #[test]
    fn one_that_is_back_is_there_again() {
        let (mut precedence, now) = (Precedence::default(), Instant::now());
        precedence.obey(replica(1), 5);
        precedence.gone(replica(2), now);
        precedence.gone(replica(1), now);
        precedence.obey(replica(1), 5);
        assert!(precedence.outranks(4, now + SENDER_GONE));
        assert!(precedence.is(replica(1), 5));
        assert!(!precedence.is(replica(2), 5));
    }
}
