//! What was done with the Stores of a class on this node.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use shoal_stores::{BlobError, KeyValueError, SqlError};

use crate::metrics::Durations;

/// Makes an enum of label values.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[doc = $text:literal])+ $value:ident = $label:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[doc = $text])+ $value,)+ }

        impl $name {
            pub(crate) const ALL: &[Self] = &[$(Self::$value,)+];

            /// As metrics have it.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$value => $label,)+ }
            }
        }
    };
}

labels! {
    /// What guests do with a Store; label `op`.
    Operation {
        /// Values of keys.
        Get = "get",
        /// Setting pairs.
        Set = "set",
        /// Deleting keys.
        Delete = "delete",
        /// Whether a key exists.
        Exists = "exists",
        /// A page of keys.
        List = "list",
        /// Adding to a number.
        Increment = "increment",
        /// Compare-and-swap; one that was lost is done as well.
        Swap = "compare_and_swap",
        /// A statement of SQL.
        Execute = "execute",
        /// Copying or moving an object.
        Copy = "copy",
        /// Deleting all objects.
        Clear = "clear",
    }
}

labels! {
    /// How it ended; label `result`.
    Outcome {
        /// It was done.
        Ok = "ok",
        /// The store refuses this node.
        Denied = "denied",
        /// Over a limit.
        Limit = "limit",
        /// The value is none that this can be done with.
        Invalid = "invalid",
        /// The backend could not do it.
        Unavailable = "unavailable",
    }
}

/// An error of an interface's.
pub(crate) trait CallError {
    /// How the operation ended.
    fn outcome(&self) -> Outcome;
    /// The backend could not do it; the text says why.
    fn unavailable(why: String) -> Self;
}

impl CallError for KeyValueError {
    fn outcome(&self) -> Outcome {
        match self {
            Self::AccessDenied => Outcome::Denied,
            Self::LimitExceeded(_) => Outcome::Limit,
            Self::NotAnInteger => Outcome::Invalid,
            Self::Unavailable(_) => Outcome::Unavailable,
        }
    }

    fn unavailable(why: String) -> Self {
        Self::Unavailable(why)
    }
}

impl CallError for BlobError {
    fn outcome(&self) -> Outcome {
        match self {
            Self::AccessDenied => Outcome::Denied,
            Self::LimitExceeded(_) => Outcome::Limit,
            Self::NotFound | Self::Refused(_) | Self::Incomplete(_) => Outcome::Invalid,
            Self::Unavailable(_) => Outcome::Unavailable,
        }
    }

    fn unavailable(why: String) -> Self {
        Self::Unavailable(why)
    }
}

impl CallError for SqlError {
    fn outcome(&self) -> Outcome {
        match self {
            Self::AccessDenied => Outcome::Denied,
            Self::LimitExceeded(_) | Self::Full(_) => Outcome::Limit,
            Self::Statement(_) | Self::RolledBack(_) => Outcome::Invalid,
            Self::Unavailable(_) => Outcome::Unavailable,
        }
    }

    fn unavailable(why: String) -> Self {
        Self::Unavailable(why)
    }
}

impl<T, E: CallError> From<&Result<T, E>> for Outcome {
    fn from(result: &Result<T, E>) -> Self {
        result.as_ref().map_or_else(E::outcome, |_| Self::Ok)
    }
}

/// Counts of one class, without a lock.
#[derive(Default)]
pub(crate) struct Counts {
    outcomes: [[AtomicU64; Outcome::ALL.len()]; Operation::ALL.len()],
    durations: [Durations; Operation::ALL.len()],
}

impl Counts {
    /// Counts an operation that never reached the backend.
    pub(super) fn refused(&self, operation: Operation, outcome: Outcome) {
        let count = self
            .outcomes
            .get(operation as usize)
            .and_then(|outcomes| outcomes.get(outcome as usize));
        if let Some(count) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts an operation that the backend has ended.
    pub(super) fn ended(&self, operation: Operation, outcome: Outcome, took: Duration) {
        self.refused(operation, outcome);
        if let Some(durations) = self.durations.get(operation as usize) {
            durations.add(took);
        }
    }

    /// Operations that happened, by outcome.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = (Operation, Outcome, u64)> {
        let operations = Operation::ALL.iter().zip(&self.outcomes);
        operations
            .flat_map(|(operation, counts)| {
                let outcomes = Outcome::ALL.iter().zip(counts);
                outcomes
                    .map(|(outcome, count)| (*operation, *outcome, count.load(Ordering::Relaxed)))
            })
            .filter(|(_, _, count)| *count > 0)
    }

    /// How long the backend took.
    pub(crate) fn durations(&self) -> impl Iterator<Item = (Operation, &Durations)> {
        Operation::ALL
            .iter()
            .copied()
            .zip(&self.durations)
            .filter(|(_, durations)| durations.count() > 0)
    }
}
