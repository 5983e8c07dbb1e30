//! One write, and what it does within the transaction that it shares with others.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;

use crate::{KeyValueError, StoreId, StoreLimits, counter, key_value::Swap};

/// Keys of one step of a purge.
const PURGED_KEYS: i64 = 500;
/// Bytes of one step of a purge; the key that reaches it still belongs to it. To free a large value,
/// all of it is read.
const PURGED_BYTES: i64 = 1024 * 1024;

/// What a caller wants written.
#[derive(Debug)]
pub(crate) enum Write {
    Set(Vec<(String, Bytes)>),
    Delete(Vec<String>),
    Increment {
        key: String,
        delta: i64,
        limits: StoreLimits,
    },
    Swap {
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
    },
    /// One step of a purge: some keys after `after`, which is exclusive.
    Purge {
        after: Option<Vec<u8>>,
    },
    /// Proves that the disk takes a write; touches no Store.
    Probe,
}

/// What a write gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Done,
    Number(i64),
    Swap(Swap),
    /// How far a purge came; `None`: there are no more keys.
    Purged(Option<Vec<u8>>),
}

/// A write that waits for its turn, and who waits for it.
pub(crate) struct PendingWrite {
    pub(crate) store: StoreId,
    pub(crate) write: Write,
    pub(crate) reply: oneshot::Sender<Result<Written, KeyValueError>>,
}

/// What became of one write in a transaction: refusals are the write's own and change nothing.
pub(crate) type Outcome = Result<Written, KeyValueError>;

/// Does one write. An `Err` of SQLite's ends the whole transaction.
pub(crate) fn apply(
    connection: &Connection,
    store: StoreId,
    write: &Write,
) -> rusqlite::Result<Outcome> {
    match write {
        Write::Set(pairs) => {
            for (key, value) in pairs {
                put(connection, store, key, value)?;
            }
            Ok(Ok(Written::Done))
        }
        Write::Delete(keys) => {
            let mut statement =
                connection.prepare_cached("DELETE FROM kv WHERE store = ?1 AND key = ?2")?;
            for key in keys {
                statement.execute(params![store.as_bytes(), key.as_bytes()])?;
            }
            Ok(Ok(Written::Done))
        }
        Write::Increment { key, delta, limits } => {
            increment(connection, store, key, *delta, *limits)
        }
        Write::Swap {
            key,
            expected,
            value,
        } => {
            let current = value_of(connection, store, key)?;
            if current.as_deref() != expected.as_deref() {
                return Ok(Ok(Written::Swap(Swap::Lost { current })));
            }
            put(connection, store, key, value)?;
            Ok(Ok(Written::Swap(Swap::Done)))
        }
        Write::Purge { after } => purge(connection, store, after.as_deref()),
        Write::Probe => {
            connection
                .prepare_cached(
                    "INSERT INTO meta(name, value) VALUES ('probes', 1)
                     ON CONFLICT(name) DO UPDATE SET value = value + 1",
                )?
                .execute([])?;
            Ok(Ok(Written::Done))
        }
    }
}

fn put(connection: &Connection, store: StoreId, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO kv(store, key, value) VALUES (?1, ?2, ?3)
             ON CONFLICT(store, key) DO UPDATE SET value = excluded.value",
        )?
        .execute(params![store.as_bytes(), key.as_bytes(), value])?;
    Ok(())
}

pub(crate) fn value_of(
    connection: &Connection,
    store: StoreId,
    key: &str,
) -> rusqlite::Result<Option<Bytes>> {
    connection
        .prepare_cached("SELECT value FROM kv WHERE store = ?1 AND key = ?2")?
        .query_row(params![store.as_bytes(), key.as_bytes()], |row| {
            Ok(Bytes::copy_from_slice(row.get_ref(0)?.as_blob()?))
        })
        .optional()
}

fn increment(
    connection: &Connection,
    store: StoreId,
    key: &str,
    delta: i64,
    limits: StoreLimits,
) -> rusqlite::Result<Outcome> {
    let held = value_of(connection, store, key)?;
    let new = match counter::add(held.as_deref(), delta, limits) {
        Ok(new) => new,
        Err(refusal) => return Ok(Err(refusal)),
    };
    put(connection, store, key, new.to_string().as_bytes())?;
    Ok(Ok(Written::Number(new)))
}

fn purge(
    connection: &Connection,
    store: StoreId,
    after: Option<&[u8]>,
) -> rusqlite::Result<Outcome> {
    // No key is empty, so that everything comes after it.
    let after = after.unwrap_or_default();
    let mut statement = connection.prepare_cached(
        "SELECT key, length(value) FROM kv WHERE store = ?1 AND key > ?2 ORDER BY key LIMIT ?3",
    )?;
    let mut rows = statement.query(params![store.as_bytes(), after, PURGED_KEYS])?;
    let (mut last, mut bytes) = (None, 0);
    while bytes < PURGED_BYTES {
        let Some(row) = rows.next()? else { break };
        last = Some(row.get::<_, Vec<u8>>(0)?);
        bytes += row.get::<_, i64>(1)?;
    }
    if let Some(last) = &last {
        connection
            .prepare_cached("DELETE FROM kv WHERE store = ?1 AND key > ?2 AND key <= ?3")?
            .execute(params![store.as_bytes(), after, last])?;
    }
    Ok(Ok(Written::Purged(last)))
}
