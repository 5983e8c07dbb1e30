//! What SQLite's errors mean to a guest, and to whoever reads the log.

use std::{sync::Arc, time::Duration};

use rusqlite::ErrorCode;
use tokio::{task::spawn_blocking, time::timeout};

use crate::{Health, KeyValueError, Reason, shortage::DiskShortage};

/// A disk that took a write says within this time how much is free.
const ASKED: Duration = Duration::from_secs(2);

pub(crate) const FULL: &str = "the disk is full";
pub(crate) const READ_ONLY: &str = "the disk is read-only";

/// The error that a guest sees: a reason, never a path.
pub(crate) fn unavailable(error: &rusqlite::Error) -> KeyValueError {
    let reason = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => FULL,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => READ_ONLY,
        Some(ErrorCode::CannotOpen) => "its file cannot be opened",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "its data is damaged",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "its file is in use",
        Some(ErrorCode::SystemIoFailure) => "the disk fails",
        Some(ErrorCode::OutOfMemory) => "there is not enough memory",
        Some(ErrorCode::TooBig) => "a value is too large",
        _ => "the operation failed",
    };
    KeyValueError::Unavailable(reason.to_owned())
}

/// Whether the connection should be made anew after this: the file may have been replaced or repaired,
/// and what SQLite remembers of it may be wrong.
pub(crate) fn wants_new_connection(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::TooBig)
    )
}

/// What an error of ours says of all stores in these files.
pub(crate) fn health(error: &KeyValueError) -> Health {
    let reason = match error {
        KeyValueError::Unavailable(why) if why == FULL || why == READ_ONLY => Reason::ReadOnly,
        _ => Reason::Unreachable,
    };
    Health::of(reason, error)
}

/// What a disk that took a small write says of stores on it.
pub(crate) async fn health_of_disk(shortage: &Arc<DiskShortage>) -> Health {
    let shortage = Arc::clone(shortage);
    let failing = |why: &str| health(&KeyValueError::Unavailable(why.to_owned()));
    match timeout(ASKED, spawn_blocking(move || shortage.lasts())).await {
        Ok(Ok(false)) => Health::Reachable,
        Ok(Ok(true)) => failing(FULL),
        Ok(Err(_)) | Err(_) => failing("the disk does not answer"),
    }
}

/// Whether an error says that the disk is full.
pub(crate) fn is_full(error: &KeyValueError) -> bool {
    matches!(error, KeyValueError::Unavailable(why) if why == FULL)
}
