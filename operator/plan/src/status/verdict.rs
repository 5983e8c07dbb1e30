//! How one step of the way to being served stands.

use jiff::{Timestamp, Unit};
use shoal_crds::{Condition, ConditionStatus, Reason};

/// Names in a message may come from an artifact: bounded, so that the API server takes it.
const LONGEST_MESSAGE: usize = 4096;

/// A condition to be, without what every condition has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) status: ConditionStatus,
    pub(crate) reason: String,
    pub(crate) message: String,
    /// It is tried again by itself; otherwise nothing happens until someone changes something.
    pub(crate) retried: bool,
}

impl Verdict {
    /// The step is done.
    pub(crate) fn holds(reason: Reason, message: String) -> Self {
        Self::new(ConditionStatus::True, reason.as_str(), message)
    }

    /// The step has failed.
    pub(crate) fn fails(reason: Reason, message: String) -> Self {
        Self::new(ConditionStatus::False, reason.as_str(), message)
    }

    /// The step is under way, or waits for another.
    pub(crate) fn pending(reason: Reason, message: &str) -> Self {
        Self::new(
            ConditionStatus::Unknown,
            reason.as_str(),
            message.to_owned(),
        )
    }

    /// The builder refused: its words, bounded.
    pub(crate) fn refused(reason: &str, message: &str) -> Self {
        let known = Reason::parse(reason).unwrap_or(Reason::UnsupportedArtifact);
        Self::new(ConditionStatus::False, known.as_str(), message.to_owned())
    }

    /// As a condition that was written says.
    pub(crate) fn stored(condition: &Condition, retried: bool) -> Self {
        Self {
            retried,
            ..Self::new(
                condition.status,
                &condition.reason,
                condition.message.clone(),
            )
        }
    }

    /// The same, tried again by itself.
    pub(crate) fn retried(self) -> Self {
        Self {
            retried: true,
            ..self
        }
    }

    /// Whether the step has failed.
    pub(crate) fn failed(&self) -> bool {
        self.status == ConditionStatus::False
    }

    fn new(status: ConditionStatus, reason: &str, message: String) -> Self {
        let message = message.chars().take(LONGEST_MESSAGE).collect();
        Self {
            status,
            reason: reason.to_owned(),
            message,
            retried: false,
        }
    }
}

/// A time as conditions write it.
pub(crate) fn time(now: Timestamp) -> String {
    now.round(Unit::Second).unwrap_or(now).to_string()
}
