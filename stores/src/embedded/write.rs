//! One write, and what it does within the transaction that it shares with others.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;

use crate::{KeyValueError, StoreId, StoreLimits, key_value::Swap, limits};

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
    /// Proves that the disk takes a write; touches no Store.
    Probe,
}

/// What a write gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Done,
    Number(i64),
    Swap(Swap),
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
    let old = match value_of(connection, store, key)? {
        None => Some(0),
        Some(value) => std::str::from_utf8(&value)
            .ok()
            .and_then(|text| text.parse::<i64>().ok()),
    };
    let Some(new) = old.and_then(|old| old.checked_add(delta)) else {
        return Ok(Err(KeyValueError::NotAnInteger));
    };
    let text = new.to_string();
    if let Err(refusal) = limits::check_value(text.len(), limits) {
        return Ok(Err(refusal));
    }
    put(connection, store, key, text.as_bytes())?;
    Ok(Ok(Written::Number(new)))
}
