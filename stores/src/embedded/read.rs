//! Reads: each sees one moment of its Store.

use bytes::Bytes;
use rusqlite::{Connection, params};
use tokio::sync::oneshot;

use super::{accounts, write::value_of};
use crate::{
    KeyValueError, StoreId, Usage,
    key_value::KeyPage,
    limits::{self, MAX_PAGE_BYTES},
};

/// What a caller wants to know.
#[derive(Debug)]
pub(crate) enum Read {
    Get(Vec<String>),
    Exists(String),
    List { after: Option<String>, limit: u32 },
    Usage,
}

/// What a read found.
#[derive(Debug)]
pub(crate) enum Found {
    Values(Vec<Option<Bytes>>),
    Exists(bool),
    Page(KeyPage),
    Usage(Usage),
}

/// A read that waits for its turn, and who waits for it.
pub(crate) struct PendingRead {
    pub(crate) store: StoreId,
    pub(crate) read: Read,
    pub(crate) reply: oneshot::Sender<Result<Found, KeyValueError>>,
}

/// Does one read. An `Err` of SQLite's says that the file cannot be read now.
pub(crate) fn perform(
    connection: &Connection,
    store: StoreId,
    read: &Read,
) -> rusqlite::Result<Result<Found, KeyValueError>> {
    match read {
        Read::Get(keys) => get(connection, store, keys),
        Read::Exists(key) => {
            let exists = connection
                .prepare_cached("SELECT 1 FROM kv WHERE store = ?1 AND key = ?2")?
                .exists(params![store.as_bytes(), key.as_bytes()])?;
            Ok(Ok(Found::Exists(exists)))
        }
        Read::List { after, limit } => list(connection, store, after.as_deref(), *limit),
        Read::Usage => accounts::read(connection, store).map(|usage| Ok(Found::Usage(usage))),
    }
}

fn get(
    connection: &Connection,
    store: StoreId,
    keys: &[String],
) -> rusqlite::Result<Result<Found, KeyValueError>> {
    let moment = connection.unchecked_transaction()?;
    let mut values = Vec::with_capacity(keys.len());
    let mut bytes = 0;
    for key in keys {
        let value = value_of(&moment, store, key)?;
        bytes += value.as_ref().map_or(0, Bytes::len);
        if let Err(refusal) = limits::check_call_bytes(bytes) {
            return Ok(Err(refusal));
        }
        values.push(value);
    }
    Ok(Ok(Found::Values(values)))
}

fn list(
    connection: &Connection,
    store: StoreId,
    after: Option<&str>,
    limit: u32,
) -> rusqlite::Result<Result<Found, KeyValueError>> {
    // No key is empty, so that everything comes after it.
    let mut statement = connection
        .prepare_cached("SELECT key FROM kv WHERE store = ?1 AND key > ?2 ORDER BY key LIMIT ?3")?;
    let after = after.unwrap_or_default().as_bytes();
    let mut rows = statement.query(params![store.as_bytes(), after, i64::from(limit) + 1])?;
    let mut page = KeyPage::default();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let key = row.get_ref(0)?.as_blob()?;
        if page.keys.len() as u64 == u64::from(limit) || bytes + key.len() > MAX_PAGE_BYTES {
            page.more = true;
            break;
        }
        bytes += key.len();
        let Ok(key) = std::str::from_utf8(key) else {
            tracing::error!(%store, "a key in the file is no UTF-8");
            return Ok(Err(KeyValueError::Unavailable(
                "its data is damaged".to_owned(),
            )));
        };
        page.keys.push(key.to_owned());
    }
    Ok(Ok(Found::Page(page)))
}
