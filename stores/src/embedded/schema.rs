//! The files of the embedded backend: which there are, and what is in them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};

use super::{Durability, OpenError};

/// Version of the tables below; a file of a later one is left alone. Since 2 there is `usage`.
const VERSION: i64 = 2;
/// Most files of one folder.
const MOST_SHARDS: u32 = 64;
/// Another process may hold the file for this long (`shoal up` twice in one folder).
const BUSY: Duration = Duration::from_secs(2);

/// The file of one shard.
pub(crate) fn path(folder: &Path, shard: u32) -> PathBuf {
    folder.join(format!("kv-{shard}.db"))
}

/// Makes or checks all files, and says how many shards there are: the number they were first made with,
/// since a Store's shard follows from it.
pub(crate) fn prepare(folder: &Path, wanted: u32, mode: Durability) -> Result<u32, OpenError> {
    fs::create_dir_all(folder).map_err(|error| OpenError::Folder {
        path: folder.to_owned(),
        error,
    })?;
    let first = path(folder, 0);
    // It is made before all others and says how many there are: where others are, it is lost.
    if !first.exists() && (1..MOST_SHARDS).any(|shard| path(folder, shard).exists()) {
        return Err(OpenError::Missing { path: first });
    }
    let connection = writer(&first, mode).map_err(|error| file_error(&first, &error))?;
    let shards = remembered(&connection, &first)?;
    let shards = match shards {
        Some(shards) => shards,
        None => make(folder, &connection, &first, wanted, mode)?,
    };
    for shard in 0..shards {
        let file = path(folder, shard);
        if !file.exists() {
            return Err(OpenError::Missing { path: file });
        }
        // Readers expect the tables of now. A file that cannot be opened is tried again by its writer.
        if let Err(error) = writer(&file, mode) {
            tracing::error!(file = %file.display(), %error, "the file of a shard cannot be opened");
        }
    }
    Ok(shards)
}

/// The number of shards that was written down once all files existed.
fn remembered(connection: &Connection, file: &Path) -> Result<Option<u32>, OpenError> {
    let version = version(connection).map_err(|error| file_error(file, &error))?;
    if version > VERSION {
        return Err(OpenError::Later {
            path: file.to_owned(),
        });
    }
    connection
        .query_row("SELECT value FROM meta WHERE name = 'shards'", [], |row| {
            row.get(0)
        })
        .optional()
        .map_err(|error| file_error(file, &error))
}

fn make(
    folder: &Path,
    first: &Connection,
    file: &Path,
    wanted: u32,
    mode: Durability,
) -> Result<u32, OpenError> {
    let shards = wanted.clamp(1, MOST_SHARDS);
    for shard in 1..shards {
        let other = path(folder, shard);
        writer(&other, mode).map_err(|error| file_error(&other, &error))?;
    }
    let sync = || File::open(folder)?.sync_all();
    sync().map_err(|error| OpenError::Folder {
        path: folder.to_owned(),
        error,
    })?;
    // Last: a crash before this leaves files that hold nothing yet.
    first
        .execute(
            "INSERT INTO meta(name, value) VALUES ('shards', ?1)",
            [shards],
        )
        .map_err(|error| file_error(file, &error))?;
    Ok(shards)
}

fn file_error(path: &Path, error: &rusqlite::Error) -> OpenError {
    OpenError::File {
        path: path.to_owned(),
        error: error.to_string(),
    }
}

/// A connection that writes, with its tables there.
pub(crate) fn writer(file: &Path, mode: Durability) -> rusqlite::Result<Connection> {
    // What bounds the SQL databases of this process has to come before SQLite's first use.
    crate::sql::embedded::memory::install();
    // Without SQLITE_OPEN_URI: a folder's name is no URI.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match mode {
        Durability::Full => "FULL",
        Durability::Relaxed => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.execute_batch(
        "BEGIN IMMEDIATE;
         CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS kv(
             store BLOB NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
             PRIMARY KEY(store, key)
         ) STRICT, WITHOUT ROWID;
         COMMIT;",
    )?;
    migrate(&connection)?;
    Ok(connection)
}

/// Brings the tables to the version of now, as a whole or not at all.
fn migrate(connection: &Connection) -> rusqlite::Result<()> {
    if version(connection)? >= VERSION {
        return Ok(());
    }
    let migration = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    if version(&migration)? >= VERSION {
        return Ok(());
    }
    migration.execute_batch(
        "CREATE TABLE usage(
             store BLOB NOT NULL PRIMARY KEY, keys INTEGER NOT NULL, bytes INTEGER NOT NULL
         ) STRICT, WITHOUT ROWID;
         INSERT INTO usage(store, keys, bytes)
             SELECT store, count(*), sum(length(key) + length(value)) FROM kv GROUP BY store;",
    )?;
    migration.pragma_update(None, "user_version", VERSION)?;
    migration.commit()
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// A connection that only reads.
pub(crate) fn reader(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -8 * 1024)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}
