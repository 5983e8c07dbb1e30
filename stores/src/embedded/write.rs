//! One write, and what it does within the transaction that it shares with others.

use std::collections::BTreeMap;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;

use super::accounts::Accounts;
use crate::{
    KeyValueError, StoreId, StoreLimits, counter,
    key_value::Swap,
    quota::{self, Change},
};

/// Keys of one step of a purge.
const PURGED_KEYS: i64 = 500;
/// Bytes of one step of a purge; the key that reaches it still belongs to it. To free a large value,
/// all of it is read.
const PURGED_BYTES: i64 = 1024 * 1024;

/// What a caller wants written.
#[derive(Debug)]
pub(crate) enum Write {
    Set {
        pairs: Vec<(String, Bytes)>,
        limits: StoreLimits,
    },
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
        limits: StoreLimits,
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

/// The writes of one transaction. An `Err` of SQLite's ends it as a whole.
pub(crate) struct Writing<'a> {
    file: &'a Connection,
    accounts: Accounts,
}

impl<'a> Writing<'a> {
    pub(crate) fn new(transaction: &'a Connection) -> Self {
        Self {
            file: transaction,
            accounts: Accounts::default(),
        }
    }

    /// Does one write.
    pub(crate) fn apply(&mut self, store: StoreId, write: &Write) -> rusqlite::Result<Outcome> {
        match write {
            Write::Set { pairs, limits } => self.set(store, pairs, *limits),
            Write::Delete(keys) => self.delete(store, keys),
            Write::Increment { key, delta, limits } => self.increment(store, key, *delta, *limits),
            Write::Swap {
                key,
                expected,
                value,
                limits,
            } => {
                let current = value_of(self.file, store, key)?;
                if current.as_deref() != expected.as_deref() {
                    return Ok(Ok(Written::Swap(Swap::Lost { current })));
                }
                let held = current.as_ref().map(Bytes::len);
                let put = self.put(store, &[(key, value, held)], *limits)?;
                Ok(put.map(|()| Written::Swap(Swap::Done)))
            }
            Write::Purge { after } => self.purge(store, after.as_deref()),
            Write::Probe => self.probe(),
        }
    }

    /// Writes down what was counted; to be done before the transaction is committed.
    pub(crate) fn finish(self) -> rusqlite::Result<()> {
        self.accounts.write(self.file)
    }

    fn set(
        &mut self,
        store: StoreId,
        pairs: &[(String, Bytes)],
        limits: StoreLimits,
    ) -> rusqlite::Result<Outcome> {
        // Of pairs with one key the last counts.
        let pairs: BTreeMap<&str, &Bytes> = pairs
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .collect();
        let mut new = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            new.push((key, &value[..], length_of(self.file, store, key)?));
        }
        Ok(self.put(store, &new, limits)?.map(|()| Written::Done))
    }

    fn delete(&mut self, store: StoreId, keys: &[String]) -> rusqlite::Result<Outcome> {
        let mut statement = self.file.prepare_cached(
            "DELETE FROM kv WHERE store = ?1 AND key = ?2 RETURNING length(value)",
        )?;
        let mut change = Change::default();
        for key in keys {
            let held = statement
                .query_row(params![store.as_bytes(), key.as_bytes()], |row| row.get(0))
                .optional()?;
            change = change.and(Change::of(key.len(), held.map(size), None));
        }
        self.accounts.count(self.file, store, change)?;
        Ok(Ok(Written::Done))
    }

    fn increment(
        &mut self,
        store: StoreId,
        key: &str,
        delta: i64,
        limits: StoreLimits,
    ) -> rusqlite::Result<Outcome> {
        let held = value_of(self.file, store, key)?;
        let new = match counter::add(held.as_deref(), delta, limits) {
            Ok(new) => new,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let text = new.to_string();
        let pair = (key, text.as_bytes(), held.as_ref().map(Bytes::len));
        Ok(self
            .put(store, &[pair], limits)?
            .map(|()| Written::Number(new)))
    }

    /// Sets keys, of which each is given once and with the length of the value that it has; all of them,
    /// or none where the Store has no room.
    fn put(
        &mut self,
        store: StoreId,
        new: &[(&str, &[u8], Option<usize>)],
        limits: StoreLimits,
    ) -> rusqlite::Result<Result<(), KeyValueError>> {
        let change = new
            .iter()
            .map(|(key, value, held)| Change::of(key.len(), *held, Some(value.len())))
            .fold(Change::default(), Change::and);
        let held = self.accounts.of(self.file, store)?;
        if let Err(refusal) = quota::check(held, change, limits) {
            return Ok(Err(refusal));
        }
        let mut statement = self.file.prepare_cached(
            "INSERT INTO kv(store, key, value) VALUES (?1, ?2, ?3)
             ON CONFLICT(store, key) DO UPDATE SET value = excluded.value",
        )?;
        for (key, value, _) in new {
            statement.execute(params![store.as_bytes(), key.as_bytes(), value])?;
        }
        self.accounts.count(self.file, store, change)?;
        Ok(Ok(()))
    }

    fn purge(&mut self, store: StoreId, after: Option<&[u8]>) -> rusqlite::Result<Outcome> {
        // No key is empty, so that everything comes after it.
        let after = after.unwrap_or_default();
        let mut statement = self.file.prepare_cached(
            "SELECT key, length(value) FROM kv WHERE store = ?1 AND key > ?2 ORDER BY key LIMIT ?3",
        )?;
        let mut rows = statement.query(params![store.as_bytes(), after, PURGED_KEYS])?;
        let (mut last, mut change) = (None, Change::default());
        while -change.bytes < PURGED_BYTES {
            let Some(row) = rows.next()? else { break };
            let key: Vec<u8> = row.get(0)?;
            change = change.and(Change::of(key.len(), Some(size(row.get(1)?)), None));
            last = Some(key);
        }
        if let Some(last) = &last {
            self.file
                .prepare_cached("DELETE FROM kv WHERE store = ?1 AND key > ?2 AND key <= ?3")?
                .execute(params![store.as_bytes(), after, last])?;
        }
        self.accounts.count(self.file, store, change)?;
        Ok(Ok(Written::Purged(last)))
    }

    fn probe(&self) -> rusqlite::Result<Outcome> {
        self.file
            .prepare_cached(
                "INSERT INTO meta(name, value) VALUES ('probes', 1)
                 ON CONFLICT(name) DO UPDATE SET value = value + 1",
            )?
            .execute([])?;
        Ok(Ok(Written::Done))
    }
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

/// Bytes of the value at `key`, which is not read for it.
fn length_of(
    connection: &Connection,
    store: StoreId,
    key: &str,
) -> rusqlite::Result<Option<usize>> {
    connection
        .prepare_cached("SELECT length(value) FROM kv WHERE store = ?1 AND key = ?2")?
        .query_row(params![store.as_bytes(), key.as_bytes()], |row| row.get(0))
        .optional()
        .map(|length| length.map(size))
}

fn size(length: i64) -> usize {
    usize::try_from(length).unwrap_or_default()
}
