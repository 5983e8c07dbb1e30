//! What SQLite's errors mean to a guest, and to whoever reads the log.

use std::{io, sync::Arc, time::Duration};

use rusqlite::ErrorCode;
use tokio::{task::spawn_blocking, time::timeout};

use crate::{Health, KeyValueError, Reason, shortage::DiskShortage};

/// A disk that took a write says within this time how much is free.
const ASKED: Duration = Duration::from_secs(2);

pub(crate) const FULL: &str = "the disk is full";
pub(crate) const READ_ONLY: &str = "the disk is read-only";
pub(crate) const SILENT: &str = "the disk does not answer";
pub(crate) const FAILS: &str = "the disk fails";

/// The error that a guest sees: a reason, never a path.
pub(crate) fn unavailable(error: &rusqlite::Error) -> KeyValueError {
    let reason = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => FULL,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => READ_ONLY,
        Some(ErrorCode::CannotOpen) => "its file cannot be opened",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "its data is damaged",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "its file is in use",
        Some(ErrorCode::SystemIoFailure) => FAILS,
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
    match asked(move || shortage.lasts()).await {
        Some(false) => Health::Reachable,
        Some(true) => failing(FULL),
        None => failing(SILENT),
    }
}

/// What the disk answers; `None`: nothing.
pub(crate) async fn asked<T: Send + 'static>(
    ask: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    timeout(ASKED, spawn_blocking(ask)).await.ok()?.ok()
}

/// What these words about the disk say of all stores on it.
pub(crate) fn failing(why: &str) -> Health {
    health(&KeyValueError::Unavailable(why.to_owned()))
}

/// What the disk says of a file, in words for guests.
pub(crate) fn of_disk(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FULL,
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => READ_ONLY,
        _ => FAILS,
    }
}

/// Whether an error says that the disk is full.
pub(crate) fn is_full(error: &KeyValueError) -> bool {
    matches!(error, KeyValueError::Unavailable(why) if why == FULL)
}
