//! Who may lead, decided from what was observed here: no clock of another machine is believed.

use std::time::{Duration, Instant};

/// What a Lease object says, as far as election needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `spec.holderIdentity`; empty when released.
    pub holder: String,
    /// `spec.leaseTransitions`: the epoch of the holder.
    pub epoch: u64,
    /// `metadata.resourceVersion`: changes with every renewal.
    pub version: String,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// No Lease exists: create it with this epoch.
    Create {
        /// Epoch to write.
        epoch: u64,
    },
    /// Take it over from a holder that released it or fell silent.
    Acquire {
        /// Epoch to write.
        epoch: u64,
        /// `resourceVersion` that the write must find.
        version: String,
    },
    /// We hold it: renew.
    Renew {
        /// Epoch to write, unchanged.
        epoch: u64,
        /// `resourceVersion` that the write must find.
        version: String,
    },
    /// Somebody else holds it.
    Wait,
}

/// The state machine of one replica.
#[derive(Debug)]
pub struct Election {
    identity: String,
    duration: Duration,
    seen: Option<(Record, Instant)>,
    highest_epoch: u64,
}

impl Election {
    /// `identity` must differ between processes, also between two runs of one pod.
    pub fn new(identity: String, duration: Duration) -> Self {
        Self {
            identity,
            duration,
            seen: None,
            highest_epoch: 0,
        }
    }

    /// This replica's name in the Lease.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Decides the next step after the Lease was read (`None`: it does not exist).
    ///
    /// `floor` is a number that grows with time on its own (minutes since 1970): should somebody delete the Lease,
    /// epochs must still grow, or runtimes would ignore the new leader for ever.
    pub fn decide(&mut self, record: Option<Record>, now: Instant, floor: u64) -> Step {
        let Some(record) = record else {
            self.seen = None;
            return Step::Create {
                epoch: (self.highest_epoch + 1).max(floor),
            };
        };
        self.highest_epoch = self.highest_epoch.max(record.epoch);
        let since = match &self.seen {
            Some((known, since)) if *known == record => *since,
            _ => now,
        };
        let step = if record.holder == self.identity {
            Step::Renew {
                epoch: record.epoch,
                version: record.version.clone(),
            }
        } else if record.holder.is_empty() || now.duration_since(since) >= self.duration {
            Step::Acquire {
                epoch: self.highest_epoch + 1,
                version: record.version.clone(),
            }
        } else {
            Step::Wait
        };
        self.seen = Some((record, since));
        step
    }

    /// Until when a write that was sent at `sent` and accepted lets us lead.
    pub fn deadline(&self, sent: Instant) -> Instant {
        sent + self.duration
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(5);

    fn record(holder: &str, epoch: u64, version: &str) -> Option<Record> {
        Some(Record {
            holder: holder.into(),
            epoch,
            version: version.into(),
        })
    }

    fn after(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn a_missing_lease_is_created_above_every_epoch_seen() {
        let mut election = Election::new("a".into(), DURATION);
        let now = Instant::now();
        assert_eq!(election.decide(None, now, 7), Step::Create { epoch: 7 });
        election.decide(record("b", 40, "1"), now, 7);
        assert_eq!(election.decide(None, now, 7), Step::Create { epoch: 41 });
    }

    #[test]
    fn a_silent_holder_is_replaced_only_after_the_whole_duration_was_observed_here() {
        let mut election = Election::new("a".into(), DURATION);
        let start = Instant::now();
        assert_eq!(election.decide(record("b", 3, "1"), start, 0), Step::Wait);
        assert_eq!(
            election.decide(record("b", 3, "1"), after(start, 4_999), 0),
            Step::Wait
        );
        assert_eq!(
            election.decide(record("b", 3, "1"), after(start, 5_000), 0),
            Step::Acquire {
                epoch: 4,
                version: "1".into()
            }
        );
    }

    #[test]
    fn a_renewal_starts_the_wait_anew() {
        let mut election = Election::new("a".into(), DURATION);
        let start = Instant::now();
        election.decide(record("b", 3, "1"), start, 0);
        election.decide(record("b", 3, "2"), after(start, 4_000), 0);
        assert_eq!(
            election.decide(record("b", 3, "2"), after(start, 8_000), 0),
            Step::Wait
        );
    }

    #[test]
    fn a_released_lease_is_taken_at_once_with_a_higher_epoch() {
        let mut election = Election::new("a".into(), DURATION);
        assert_eq!(
            election.decide(record("", 3, "9"), Instant::now(), 0),
            Step::Acquire {
                epoch: 4,
                version: "9".into()
            }
        );
    }

    #[test]
    fn the_holder_renews_with_its_epoch() {
        let mut election = Election::new("a".into(), DURATION);
        let now = Instant::now();
        assert_eq!(
            election.decide(record("a", 4, "9"), now, 0),
            Step::Renew {
                epoch: 4,
                version: "9".into()
            }
        );
        assert_eq!(election.deadline(now), now + DURATION);
    }
}
