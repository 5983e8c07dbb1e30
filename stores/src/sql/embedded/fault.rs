//! What SQLite's errors mean to a guest.

use rusqlite::{Error, ErrorCode};

use crate::{KeyValueError, embedded::fault, sql::SqlError};

/// What a statement that failed was bounded by, for messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) seconds: u64,
    pub(super) memory: u32,
    pub(super) value_bytes: u64,
    /// Its time was over.
    pub(super) is_late: bool,
    /// Bytes of the database, where it is they that are used up.
    pub(super) limit_reached: Option<u64>,
}

/// The error that a guest sees; `refused` is what the policy said.
pub(super) fn error(error: &Error, refused: Option<String>, bounds: Bounds) -> SqlError {
    if let Some(why) = refused {
        return SqlError::Statement(why);
    }
    let limit = |text: String| SqlError::LimitExceeded(text);
    match (error, error.sqlite_error_code()) {
        (Error::MultipleStatement, _) => {
            SqlError::Statement("there is more than one statement in one call".into())
        }
        (_, Some(code)) if is_end(code, bounds.is_late) => limit(format!(
            "the statement did not end within the limit of {} s",
            bounds.seconds
        )),
        (_, Some(ErrorCode::OutOfMemory)) => limit(format!(
            "the statement needs more than the limit of {} MiB of memory",
            bounds.memory >> 20
        )),
        (_, Some(ErrorCode::TooBig)) => limit(format!(
            "a value or row has more bytes than the limit of {}, or the statement is too long",
            bounds.value_bytes
        )),
        (_, Some(ErrorCode::DiskFull)) if bounds.limit_reached.is_some() => {
            SqlError::Full(format!(
                "the database is at its limit of {} bytes",
                bounds.limit_reached.unwrap_or_default()
            ))
        }
        (_, Some(code)) if is_the_backends(code) => unavailable(error),
        (Error::SqlInputError { msg, .. }, _) => SqlError::Statement(msg.clone()),
        (Error::SqliteFailure(_, Some(message)), _) => SqlError::Statement(message.clone()),
        (Error::SqliteFailure(code, None), _) => SqlError::Statement(code.to_string()),
        (Error::NulError(_), _) => SqlError::Statement("the statement holds a NUL".into()),
        // Nothing else of rusqlite's is reached from here.
        _ => SqlError::Unavailable("the operation failed".into()),
    }
}

/// The error of a database that cannot be opened or used.
pub(super) fn unavailable(error: &Error) -> SqlError {
    match fault::unavailable(error) {
        KeyValueError::Unavailable(reason) => SqlError::Unavailable(reason),
        other => SqlError::Unavailable(other.to_string()),
    }
}

/// Whether the connection should be made anew after this.
pub(super) fn wants_new_connection(error: &Error) -> bool {
    error.sqlite_error_code().is_some_and(|code| {
        is_the_backends(code)
            && !matches!(code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    })
}

/// Late statements are refused memory, see `memory`.
fn is_end(code: ErrorCode, is_late: bool) -> bool {
    code == ErrorCode::OperationInterrupted || is_late && code == ErrorCode::OutOfMemory
}

fn is_the_backends(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::DiskFull
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::CannotOpen
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::SystemIoFailure
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::InternalMalfunction
    )
}
