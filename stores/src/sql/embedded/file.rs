//! The file of one database: what it holds, and its end.

use std::{
    collections::HashMap,
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use rusqlite::{Connection as Sqlite, OpenFlags};

use super::{connection::STATEMENT_MEMORY, memory, watch::Watch};
use crate::{StoreId, sql::SqlError};

/// Another process may have the file; within this one it is never busy for long.
const BUSY: Duration = Duration::from_secs(1);

/// The files of a folder, each named by its Store's id.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    counted: Mutex<HashMap<StoreId, Counted>>,
}

/// What a file was counted to hold, and what it looked like then.
#[derive(Clone, Copy, Debug)]
struct Counted {
    changed: Option<SystemTime>,
    length: u64,
    bytes: u64,
}

impl Counted {
    fn of(file: &Metadata, bytes: u64) -> Self {
        Self {
            changed: file.modified().ok(),
            length: file.len(),
            bytes,
        }
    }

    fn is_of(&self, file: &Metadata) -> bool {
        self.length == file.len() && self.changed.is_some() && self.changed == file.modified().ok()
    }
}

impl Files {
    pub(super) fn of(folder: PathBuf) -> Self {
        Self {
            folder,
            counted: Mutex::default(),
        }
    }

    pub(super) fn path(&self, store: StoreId) -> PathBuf {
        self.folder.join(format!("{store}.db"))
    }

    /// Bytes of the pages in use; 0 where there is no file.
    ///
    /// SQLite alone opens it: to close it otherwise would give up the locks that this process has on it.
    pub(super) fn bytes(&self, store: StoreId) -> Result<u64, SqlError> {
        let path = self.path(store);
        let Some(file) = look(&path)? else {
            return Ok(0);
        };
        // What is in the log is not in the file yet.
        let is_settled = look(&beside(&path, "-wal"))?.is_none();
        let known = self.counted.lock().get(&store).copied();
        if let Some(known) = known.filter(|known| is_settled && known.is_of(&file)) {
            return Ok(known.bytes);
        }
        let (counted, _) = memory::within(STATEMENT_MEMORY, &Watch::default(), || count(&path));
        let bytes = counted.map_err(|error| super::fault::unavailable(&error))?;
        if is_settled {
            self.counted.lock().insert(store, Counted::of(&file, bytes));
        }
        Ok(bytes)
    }

    /// Removes it, durably. Nobody may have it open.
    pub(super) fn remove(&self, store: StoreId) -> Result<(), SqlError> {
        self.counted.lock().remove(&store);
        let path = self.path(store);
        // The database comes last: what is left of a removal that was broken off still counts.
        for other in ["-wal", "-shm"] {
            gone(&beside(&path, other))?;
        }
        gone(&path.with_extension("probe"))?;
        gone(&path)?;
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| unavailable(&error))
    }
}

fn count(path: &Path) -> rusqlite::Result<u64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sqlite = Sqlite::open_with_flags(path, flags)?;
    sqlite.busy_timeout(BUSY)?;
    let number = |pragma: &str| {
        let ask = format!("PRAGMA {pragma}");
        sqlite.query_row(&ask, [], |row| row.get::<_, i64>(0))
    };
    let pages = number("page_count")? - number("freelist_count")?;
    let bytes = pages.saturating_mul(number("page_size")?);
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// A file that SQLite keeps beside the database.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn look(path: &Path) -> Result<Option<Metadata>, SqlError> {
    match fs::metadata(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unavailable(&error)),
    }
}

fn gone(path: &Path) -> Result<(), SqlError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unavailable(&error)),
        _ => Ok(()),
    }
}

/// Its kind says what is wrong and names no path.
fn unavailable(error: &io::Error) -> SqlError {
    SqlError::Unavailable(error.kind().to_string())
}
