//! Whether a class serves, as its administrator sees it.

use std::{fmt, ops::Add};

use async_trait::async_trait;

use crate::{KeyValue, KeyValueError, PlaceId};

/// A class of stores that can be asked how it is.
#[async_trait]
pub trait Backend: KeyValue {
    /// Asks the backend now, with a write where it can be made without touching anybody's Store. Answers
    /// within 5 s; to be asked every few seconds, or when a call was [unavailable].
    ///
    /// [unavailable]: crate::KeyValueError::Unavailable
    async fn health(&self) -> Health;

    /// The place that its data was found to be in, where it was told none: it is to be recorded, and told from then on.
    /// Known once [`Self::health`] was asked.
    fn place(&self) -> Option<PlaceId> {
        None
    }

    /// Its data is in this place: another is refused from the next call on, whatever is in use. `None`: that is not
    /// known, and any will do.
    fn keep_to(&self, _: Option<PlaceId>) {}

    /// How the backend's connections are used now; `None`: it has none of its own.
    fn connections(&self) -> Option<Connections> {
        None
    }
}

/// Connections of a backend to its servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Open now, or being opened.
    pub open: usize,
    /// Of these, with a call on them.
    pub busy: usize,
    /// Most that may be open, but for a moment when options change.
    pub most: usize,
}

impl Add for Connections {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            open: self.open + other.open,
            busy: self.busy + other.busy,
            most: self.most + other.most,
        }
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It reads and writes.
    Reachable,
    /// It does not serve, or not every call.
    Failing {
        /// What kind of failure it is.
        reason: Reason,
        /// What is wrong and what to do, in a sentence: no credential, host or path.
        message: String,
    },
}

/// Why a class does not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It is not there, does not answer in time, or cannot serve now.
    Unreachable,
    /// It does not let us in, or not do what a store needs.
    CredentialsRefused,
    /// No TLS with it, or nobody trusted vouches for it.
    TlsFailed,
    /// It takes no writes: a replica, or one without room.
    ReadOnly,
    /// It is not what the class says: no such database, tables of another version, or another place than that of the
    /// data.
    InvalidConfiguration,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::Unreachable,
        Self::CredentialsRefused,
        Self::TlsFailed,
        Self::ReadOnly,
        Self::InvalidConfiguration,
    ];

    /// What an administrator can do.
    fn advice(self) -> &'static str {
        match self {
            Self::Unreachable => "see whether it runs and this node's network reaches it",
            Self::CredentialsRefused => "see whether its user, password and permissions are right",
            Self::TlsFailed => {
                "see whether the given authorities signed its certificate, for its host"
            }
            Self::ReadOnly => "see whether it is the primary, and has room",
            Self::InvalidConfiguration => "see whether it is the right server, database and prefix",
        }
    }

    /// The word that conditions and reports have for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "Unreachable",
            Self::CredentialsRefused => "CredentialsRefused",
            Self::TlsFailed => "TlsFailed",
            Self::ReadOnly => "ReadOnly",
            Self::InvalidConfiguration => "InvalidConfiguration",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Health {
    pub(crate) fn failing(reason: Reason, message: impl Into<String>) -> Self {
        Self::Failing {
            reason,
            message: message.into(),
        }
    }

    /// A call failed with `error`, for `reason`.
    pub(crate) fn of(reason: Reason, error: &KeyValueError) -> Self {
        Self::failing(reason, format!("{error}; {}", reason.advice()))
    }
}
