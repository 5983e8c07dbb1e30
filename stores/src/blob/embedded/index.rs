//! Which objects there are: a SQLite file with a row for each, and what each Store holds.

use std::path::Path;

use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
};

use super::files::FileId;
use crate::{
    KeyValueError, StoreId, StoreLimits, Usage,
    blob::{ObjectInfo, ObjectPage},
    embedded::{Durability, accounts, accounts::Accounts},
    limits::MAX_PAGE_BYTES,
    quota::{self, Change},
};

/// Version of the tables; a file of a later one is left alone.
const VERSION: i64 = 1;
/// Another process may hold the file for this long (`shoal up` twice in one folder).
const BUSY: std::time::Duration = std::time::Duration::from_secs(2);
/// Objects of one step of a clearing.
const CLEARED: i64 = 256;

/// What is known of one object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) file: FileId,
    pub(crate) info: ObjectInfo,
}

/// A connection that writes, with its tables there.
pub(crate) fn writer(file: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    // What bounds the SQL databases of this process has to come before SQLite's first use.
    crate::sql::embedded::memory::install();
    // Without SQLITE_OPEN_URI: a folder's name is no URI.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let index = Connection::open_with_flags(file, flags)?;
    index.busy_timeout(BUSY)?;
    index.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Relaxed => "NORMAL",
    };
    index.pragma_update(None, "synchronous", synchronous)?;
    index.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
    index.pragma_update(None, "trusted_schema", false)?;
    index.pragma_update(None, "cell_size_check", true)?;
    let making = Transaction::new_unchecked(&index, TransactionBehavior::Immediate)?;
    if version(&making)? < VERSION {
        making.execute_batch(
            "CREATE TABLE meta(name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
             CREATE TABLE objects(
                 store BLOB NOT NULL, name BLOB NOT NULL,
                 generation INTEGER NOT NULL, number BLOB NOT NULL,
                 size INTEGER NOT NULL, created_at INTEGER NOT NULL,
                 PRIMARY KEY(store, name)
             ) STRICT, WITHOUT ROWID;
             CREATE UNIQUE INDEX objects_by_file ON objects(generation, number);
             CREATE TABLE usage(
                 store BLOB NOT NULL PRIMARY KEY, keys INTEGER NOT NULL, bytes INTEGER NOT NULL
             ) STRICT, WITHOUT ROWID;",
        )?;
        making.pragma_update(None, "user_version", VERSION)?;
    }
    making.commit()?;
    Ok(index)
}

/// A connection that only reads.
pub(crate) fn reader(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let index = Connection::open_with_flags(file, flags)?;
    index.busy_timeout(BUSY)?;
    index.pragma_update(None, "query_only", true)?;
    index.pragma_update(None, "trusted_schema", false)?;
    index.pragma_update(None, "cell_size_check", true)?;
    Ok(index)
}

/// Whether a later version of Shoal made the file.
pub(crate) fn is_later(index: &Connection) -> rusqlite::Result<bool> {
    Ok(version(index)? > VERSION)
}

fn version(index: &Connection) -> rusqlite::Result<i64> {
    index.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// A generation that was never used.
pub(crate) fn next_generation(index: &Connection) -> rusqlite::Result<i64> {
    index.query_row(
        "INSERT INTO meta(name, value) VALUES ('generation', 1)
         ON CONFLICT(name) DO UPDATE SET value = value + 1 RETURNING value",
        [],
        |row| row.get(0),
    )
}

/// Proves that the disk takes a write.
pub(crate) fn probe(index: &Connection) -> rusqlite::Result<()> {
    index
        .prepare_cached(
            "INSERT INTO meta(name, value) VALUES ('probes', 1)
             ON CONFLICT(name) DO UPDATE SET value = value + 1",
        )?
        .execute([])?;
    Ok(())
}

/// Makes or replaces an object, if its Store has room; gives the file that it had before.
pub(crate) fn put(
    index: &Connection,
    store: StoreId,
    name: &str,
    new: Row,
    limits: StoreLimits,
) -> rusqlite::Result<Result<Option<FileId>, KeyValueError>> {
    let transaction = Transaction::new_unchecked(index, TransactionBehavior::Immediate)?;
    let old = find(&transaction, store, name)?;
    let bytes = |row: Row| usize::try_from(row.info.size).unwrap_or(usize::MAX);
    let change = Change::of(name.len(), old.map(bytes), Some(bytes(new)));
    let mut accounts = Accounts::default();
    let held = accounts.of(&transaction, store)?;
    if let Err(refusal) = quota::check(held, change, limits) {
        return Ok(Err(refusal));
    }
    transaction
        .prepare_cached(
            "INSERT INTO objects(store, name, generation, number, size, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT(store, name) DO UPDATE SET generation = excluded.generation,
                 number = excluded.number, size = excluded.size, created_at = excluded.created_at",
        )?
        .execute(params![
            store.as_bytes(),
            name.as_bytes(),
            new.file.generation,
            new.file.number.as_bytes(),
            signed(new.info.size),
            signed(new.info.created_at),
        ])?;
    accounts.count(&transaction, store, change)?;
    accounts.write(&transaction)?;
    transaction.commit()?;
    Ok(Ok(old.map(|old| old.file)))
}

/// Deletes objects; gives the files that they had.
pub(crate) fn delete(
    index: &Connection,
    store: StoreId,
    names: &[String],
) -> rusqlite::Result<Vec<FileId>> {
    let transaction = Transaction::new_unchecked(index, TransactionBehavior::Immediate)?;
    let mut files = Vec::new();
    let mut change = Change::default();
    for name in names {
        if let Some((file, one)) = remove(&transaction, store, name.as_bytes())? {
            files.push(file);
            change = change.and(one);
        }
    }
    count(&transaction, store, change)?;
    transaction.commit()?;
    Ok(files)
}

/// Deletes some objects of a Store; gives the files that they had, none if there is no object left.
pub(crate) fn clear_some(index: &Connection, store: StoreId) -> rusqlite::Result<Vec<FileId>> {
    let transaction = Transaction::new_unchecked(index, TransactionBehavior::Immediate)?;
    let names: Vec<Vec<u8>> = transaction
        .prepare_cached("SELECT name FROM objects WHERE store = ?1 LIMIT ?2")?
        .query_map(params![store.as_bytes(), CLEARED], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut files = Vec::new();
    let mut change = Change::default();
    for name in names {
        if let Some((file, one)) = remove(&transaction, store, &name)? {
            files.push(file);
            change = change.and(one);
        }
    }
    count(&transaction, store, change)?;
    transaction.commit()?;
    Ok(files)
}

fn remove(
    index: &Connection,
    store: StoreId,
    name: &[u8],
) -> rusqlite::Result<Option<(FileId, Change)>> {
    index
        .prepare_cached(
            "DELETE FROM objects WHERE store = ?1 AND name = ?2
             RETURNING generation, number, size, created_at",
        )?
        .query_row(params![store.as_bytes(), name], row)
        .optional()
        .map(|found| {
            found.map(|Row { file, info }| {
                let size = usize::try_from(info.size).unwrap_or(usize::MAX);
                (file, Change::of(name.len(), Some(size), None))
            })
        })
}

fn count(index: &Connection, store: StoreId, change: Change) -> rusqlite::Result<()> {
    let mut accounts = Accounts::default();
    accounts.count(index, store, change)?;
    accounts.write(index)
}

/// An object, if it exists.
pub(crate) fn find(
    index: &Connection,
    store: StoreId,
    name: &str,
) -> rusqlite::Result<Option<Row>> {
    index
        .prepare_cached(
            "SELECT generation, number, size, created_at FROM objects
             WHERE store = ?1 AND name = ?2",
        )?
        .query_row(params![store.as_bytes(), name.as_bytes()], row)
        .optional()
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let unsigned = |value: i64| value.max(0).unsigned_abs();
    Ok(Row {
        file: FileId {
            generation: row.get(0)?,
            number: uuid::Uuid::from_bytes(row.get(1)?),
        },
        info: ObjectInfo {
            size: unsigned(row.get(2)?),
            created_at: unsigned(row.get(3)?),
        },
    })
}

/// Tells every object of all Stores, by Store and name, until that fails.
pub(crate) fn each<E>(
    index: &Connection,
    mut tell: impl FnMut(StoreId, &str, Row) -> Result<(), E>,
) -> rusqlite::Result<Result<(), E>> {
    let mut statement = index.prepare(
        "SELECT generation, number, size, created_at, store, name FROM objects
         ORDER BY store, name",
    )?;
    let mut rows = statement.query([])?;
    while let Some(found) = rows.next()? {
        let (store, name): ([u8; 16], Vec<u8>) = (found.get(4)?, found.get(5)?);
        let name = String::from_utf8_lossy(&name);
        if let Err(error) = tell(StoreId::from_bytes(store), &name, row(found)?) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

/// Names after `after`, in byte order.
pub(crate) fn list(
    index: &Connection,
    store: StoreId,
    after: &str,
    limit: u32,
) -> rusqlite::Result<ObjectPage> {
    // No name is empty, so that everything comes after it.
    let mut statement = index.prepare_cached(
        "SELECT name FROM objects WHERE store = ?1 AND name > ?2 ORDER BY name LIMIT ?3",
    )?;
    let most = i64::from(limit) + 1;
    let mut rows = statement.query(params![store.as_bytes(), after.as_bytes(), most])?;
    let mut page = ObjectPage::default();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let name = row.get_ref(0)?.as_blob()?;
        if page.names.len() as u64 == u64::from(limit) || bytes + name.len() > MAX_PAGE_BYTES {
            page.more = true;
            break;
        }
        bytes += name.len();
        let name =
            std::str::from_utf8(name).map_err(|error| rusqlite::Error::Utf8Error(0, error))?;
        page.names.push(name.to_owned());
    }
    Ok(page)
}

/// Whether an object has this file.
pub(crate) fn has_file(index: &Connection, file: FileId) -> rusqlite::Result<bool> {
    index
        .prepare_cached("SELECT 1 FROM objects WHERE generation = ?1 AND number = ?2")?
        .exists(params![file.generation, file.number.as_bytes()])
}

/// What a Store holds.
pub(crate) fn usage(index: &Connection, store: StoreId) -> rusqlite::Result<Usage> {
    accounts::read(index, store)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
