//! What a failure means: whether the call was done, whether to make it again, what a guest is told, and
//! what may be logged. The server's own texts name hosts and users: they are neither told nor logged.

use std::{borrow::Cow, error::Error as _, io};

use deadpool::managed::PoolError;
use tokio_postgres::{
    Error,
    error::{Severity, SqlState},
};

use crate::{
    Health, KeyValueError, Reason,
    place::{self, Misplaced},
};

const UNREACHABLE: &str = "it cannot be reached";
const READ_ONLY: &str = "it is read-only";
const FULL: &str = "the disk is full";
const CREDENTIALS: &str = "its credentials are refused";
const NOT_PERMITTED: &str = "its credentials do not suffice";
const NO_DATABASE: &str = "its database does not exist";
const NO_TABLES: &str =
    "its tables are missing: they were removed, or this is another database than it was";
const NO_FUNCTIONS: &str =
    "its functions are missing: they were removed, or this is another database than it was";
const DAMAGED: &str = "its data is damaged";
const LATER: &str = "its tables were made by a later version of Shoal";
const UNVERIFIED: &str = "its identity cannot be verified";
/// For logs: no connection came about in time.
const NO_ANSWER: &str = "no answer";
const UNKNOWN: &str = "its connection was lost, and the write may or may not have been done";

/// When a call is made again, within its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// Never: it was refused, or may have been done.
    Never,
    /// At once, since nothing was done and nothing is wrong.
    AtOnce,
    /// Once, on another connection: the one that it was on was lost.
    OnNewConnection,
    /// Once, on a connection of which the server is to remember nothing: another session than it was
    /// begun in was asked.
    Shared,
    /// Once, on a new connection that may lead to another server: this one takes no writes.
    Elsewhere,
    /// A little later: it stood in another's way, and was undone.
    Later,
    /// Once the server can be reached: nothing was sent.
    WhenReached,
}

/// Whether a statement changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Read,
    Write,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) again: Again,
    /// Whether the connection that it came from can serve the next call.
    pub(crate) connection_is_well: bool,
    /// For guests.
    reason: Cow<'static, str>,
    /// For logs: the state that the server gave, or the kind of failure.
    pub(crate) code: String,
}

impl Fault {
    fn new(again: Again, reason: impl Into<Cow<'static, str>>, code: impl Into<String>) -> Self {
        Self {
            again,
            connection_is_well: true,
            reason: reason.into(),
            code: code.into(),
        }
    }

    /// No connection could be had, so that nothing was sent.
    pub(crate) fn of_pool(error: &PoolError<Error>) -> Self {
        match error {
            PoolError::Backend(error) => {
                let otherwise = if is_tls(error) {
                    UNVERIFIED
                } else {
                    UNREACHABLE
                };
                let reason = error.code().and_then(reason).unwrap_or(otherwise);
                Self::new(Again::WhenReached, reason, code(error))
            }
            PoolError::Timeout(_) => Self::unreachable(),
            // New options took its place.
            PoolError::Closed => Self::new(Again::AtOnce, UNREACHABLE, "closed"),
            PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                Self::new(Again::Never, "the operation failed", "pool")
            }
        }
    }

    /// The server does not answer, so that nothing was sent.
    pub(crate) fn unreachable() -> Self {
        Self::new(Again::WhenReached, UNREACHABLE, NO_ANSWER).with_its_connection()
    }

    /// What is to be told of this attempt, where the one before came to `before`: of a server that was too slow to
    /// say anything, what it said then.
    pub(crate) fn or_if_silent(self, before: Option<&Self>) -> Self {
        let said = before.filter(|said| self.code == NO_ANSWER && said.again == self.again);
        said.cloned().unwrap_or(self)
    }

    /// A statement failed, within a transaction or as one.
    pub(crate) fn of_statement(error: &Error, effect: Effect) -> Self {
        let state = error.code();
        // An error that leaves the session alive undid its transaction. One that ends the session may
        // be a pooler's word about a server that had done everything.
        let undone = error
            .as_db_error()
            .is_some_and(|error| error.parsed_severity() == Some(Severity::Error));
        if !undone {
            let (again, reason) = match effect {
                Effect::Read => (Again::OnNewConnection, "its connection was lost"),
                Effect::Write => (Again::Never, UNKNOWN),
            };
            return Self::new(again, reason, code(error)).with_its_connection();
        }
        let reason = state.and_then(reason).unwrap_or("the operation failed");
        match state {
            Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE) => {
                Self::new(Again::Later, reason, code(error))
            }
            // It may have been the primary when the connection was made.
            Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => {
                Self::new(Again::Elsewhere, reason, code(error)).with_its_connection()
            }
            _ => Self::new(Again::Never, reason, code(error)),
        }
    }

    /// What a session was told to remember is not there, or no longer fits what it is about. It is
    /// looked for before anything is done.
    pub(crate) fn forgotten(error: &Error) -> Self {
        let again = match error.code() {
            Some(&SqlState::INVALID_SQL_STATEMENT_NAME) => Again::Shared,
            _ => Again::OnNewConnection,
        };
        Self::new(again, "the operation failed", code(error)).with_its_connection()
    }

    /// The session is not the one that was told to remember what was asked; nothing was done.
    pub(crate) fn exchanged() -> Self {
        Self::new(Again::Shared, "the operation failed", "session").with_its_connection()
    }

    /// The deadline passed; `sent` says whether the call may have been done.
    pub(crate) fn late(sent: Option<Effect>) -> Self {
        let reason = match sent {
            None => "too many calls are waiting for it",
            Some(Effect::Read) => "it did not answer within 5 s",
            Some(Effect::Write) => {
                "it did not answer within 5 s, and the write may or may not have been done"
            }
        };
        Self::new(Again::Never, reason, "deadline").with_its_connection()
    }

    /// It has been away for long, and another call finds out whether it is back.
    pub(crate) fn away() -> Self {
        Self::new(Again::Never, UNREACHABLE, "away")
    }

    /// A later version of Shoal migrated the tables.
    pub(crate) fn later_version() -> Self {
        let reason = LATER;
        Self::new(Again::Never, reason, "version").with_its_connection()
    }

    /// The data of the class is not here.
    pub(crate) fn misplaced(misplaced: Misplaced) -> Self {
        Self::new(Again::Never, misplaced.to_string(), "place")
    }

    /// What the server sent is not what was asked for.
    pub(crate) fn damaged() -> Self {
        Self::new(Again::Never, DAMAGED, "data")
    }

    /// As this, and the connection is not to be used again.
    pub(crate) fn with_its_connection(mut self) -> Self {
        self.connection_is_well = false;
        self
    }

    /// What a guest is told.
    pub(crate) fn for_guests(&self) -> KeyValueError {
        KeyValueError::Unavailable(self.reason.clone().into_owned())
    }
}

/// What a state means to a guest, where it means more than that something failed.
fn reason(state: &SqlState) -> Option<&'static str> {
    Some(match *state {
        SqlState::DISK_FULL => FULL,
        SqlState::READ_ONLY_SQL_TRANSACTION => READ_ONLY,
        SqlState::TOO_MANY_CONNECTIONS => "it has too many connections",
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => CREDENTIALS,
        SqlState::INSUFFICIENT_PRIVILEGE => NOT_PERMITTED,
        SqlState::INVALID_CATALOG_NAME => NO_DATABASE,
        SqlState::UNDEFINED_TABLE => NO_TABLES,
        SqlState::UNDEFINED_FUNCTION => NO_FUNCTIONS,
        SqlState::QUERY_CANCELED | SqlState::LOCK_NOT_AVAILABLE => "it took too long",
        SqlState::OUT_OF_MEMORY => "there is not enough memory",
        SqlState::IO_ERROR => "the disk fails",
        SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => DAMAGED,
        SqlState::T_R_DEADLOCK_DETECTED | SqlState::T_R_SERIALIZATION_FAILURE => "it is too busy",
        SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN | SqlState::CANNOT_CONNECT_NOW => {
            "it is restarting"
        }
        _ => return None,
    })
}

/// What identifies a failure without naming anything.
fn code(error: &Error) -> String {
    if let Some(state) = error.code() {
        return state.code().to_owned();
    }
    // The kind alone: its causes are told apart below, since their texts may name hosts.
    let kind = error.to_string();
    match error
        .source()
        .and_then(|cause| cause.downcast_ref::<io::Error>())
    {
        Some(cause) => match cause.get_ref().and_then(|cause| cause.downcast_ref()) {
            Some(cause) => format!("{kind}: {}", tls(cause)),
            None => format!("{kind}: {}", cause.kind()),
        },
        None => kind,
    }
}

/// Whether TLS failed, and not the network beneath it.
fn is_tls(error: &Error) -> bool {
    let Some(cause) = error.source() else {
        return false;
    };
    match cause.downcast_ref::<io::Error>() {
        Some(cause) => cause
            .get_ref()
            .is_some_and(|cause| cause.is::<rustls::Error>()),
        // The server has none. The crate tells that by its text alone.
        None => error.to_string().starts_with("error performing TLS"),
    }
}

fn tls(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            Certificate::UnknownIssuer => "no trusted authority vouches for its certificate",
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "its certificate has expired"
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "its certificate is for another host"
            }
            _ => "its certificate is not valid",
        },
        _ => "TLS failed",
    }
}

/// Whether an error says that the disk is full.
pub(crate) fn is_full(error: &KeyValueError) -> bool {
    matches!(error, KeyValueError::Unavailable(why) if why == FULL)
}

/// What a disk that is full says of the database.
pub(crate) fn full() -> Health {
    health(&KeyValueError::Unavailable(FULL.to_owned()))
}

/// What the failure of a call says of the database.
pub(crate) fn health(error: &KeyValueError) -> Health {
    if let Some(elsewhere) = place::health(error) {
        return elsewhere;
    }
    let reason = match error {
        KeyValueError::Unavailable(why) => match why.as_str() {
            CREDENTIALS | NOT_PERMITTED => Reason::CredentialsRefused,
            UNVERIFIED => Reason::TlsFailed,
            READ_ONLY | FULL => Reason::ReadOnly,
            NO_DATABASE | NO_TABLES | NO_FUNCTIONS | DAMAGED | LATER => {
                Reason::InvalidConfiguration
            }
            _ => Reason::Unreachable,
        },
        _ => Reason::InvalidConfiguration,
    };
    Health::of(reason, error)
}
