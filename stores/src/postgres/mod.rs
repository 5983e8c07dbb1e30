//! Key-value stores in a Postgres database that an administrator runs.
//!
//! One table holds the Stores of a class, each row under its Store's id. What a call promises, it
//! promises through the database alone, so that every node sees the same. What a Store holds is counted
//! in a second table, by the transactions that change it. Nothing relies on a session, and a
//! transaction-mode pooler may stand in between, unless a session proved to be its connection's alone:
//! that one remembers statements. How durable an acknowledged write is, is the server's
//! `synchronous_commit`.

mod calls;
mod connector;
mod fault;
mod finish;
mod functions;
mod health;
mod lease;
mod opener;
mod operation;
mod options;
mod read;
mod schema;
mod session;
mod slots;
mod source;
mod statements;
mod write;

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use self::{
    calls::{Calls, deadline},
    operation::{Answer, Operation},
    source::Source,
};
pub use self::{
    connector::CaError,
    options::{OptionsError, PostgresOptions, Secret},
};
use crate::{
    Backend, Connections, Health, KeyValue, KeyValueError, PlaceId, StoreId, StoreLimits, Usage,
    counter,
    key_value::{KeyPage, Swap},
    limits::{self, MAX_PAGE_KEYS},
    place::Home,
    shortage::Refusals,
};

/// Longest key, in bytes, whatever a Store's limits are: an index of Postgres takes no longer ones.
pub const MAX_KEY_BYTES: u64 = 2048;

/// The Stores of one class. Every call ends within 5 s, whatever happens to the database; connections
/// are made as they are needed, and again when they were lost.
pub struct Postgres {
    calls: Arc<Calls>,
    refusals: Refusals,
}

/// Why options were not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReconfigureError {
    /// They cannot be used at all.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The database did not let us in with them; the old ones are still in use.
    #[error("{0}")]
    Refused(KeyValueError),
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Postgres")
    }
}

impl Postgres {
    /// Stores in the database of `options`. Connects with the first call, which also makes the tables.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The options cannot be used, whatever the database says.
    pub fn new(options: &PostgresOptions) -> Result<Self, OptionsError> {
        let source = Source::new(options.check()?).ok_or(OptionsError::Connections)?;
        Ok(Self {
            calls: Arc::new(Calls::new(
                source,
                options.max_connections,
                Home::new(options.place),
            )),
            refusals: Refusals::default(),
        })
    }

    /// Uses other options from now on, but for the place: other credentials, another number of connections. Calls under
    /// way end with those that they began with; no call fails for the change. To be called again where
    /// it failed, for then nothing changed.
    ///
    /// # Errors
    /// The options cannot be used, or a connection with them does not work within 5 s.
    pub async fn reconfigure(&self, options: &PostgresOptions) -> Result<(), ReconfigureError> {
        let change = self.calls.change(options.check()?, deadline());
        change
            .await
            .map_err(|fault| ReconfigureError::Refused(fault.for_guests()))
    }

    async fn run(
        &self,
        store: StoreId,
        operation: Operation,
        until: Instant,
    ) -> Result<Answer, KeyValueError> {
        let adds = operation.adds();
        let result = self.calls.run(store, operation, until).await;
        match (&result, adds) {
            (Ok(Answer::Done | Answer::Added(Some(_)) | Answer::Swapped(true)), Some(bytes)) => {
                self.refusals.passed(bytes);
            }
            (Err(error), Some(bytes)) if fault::is_full(error) => {
                self.refusals.met(bytes, Instant::now().into_std());
            }
            _ => {}
        }
        result
    }

    async fn value(
        &self,
        store: StoreId,
        key: &str,
        until: Instant,
    ) -> Result<Option<Bytes>, KeyValueError> {
        match self
            .run(store, Operation::Get(vec![key.to_owned()]), until)
            .await?
        {
            Answer::Values(mut values) => Ok(values.pop().flatten()),
            _ => mismatch(),
        }
    }

    async fn swap(
        &self,
        store: StoreId,
        key: &str,
        expected: &Option<Bytes>,
        value: Bytes,
        limits: StoreLimits,
        until: Instant,
    ) -> Result<bool, KeyValueError> {
        let swap = Operation::Swap {
            key: key.to_owned(),
            expected: expected.clone(),
            value,
            limits,
        };
        match self.run(store, swap, until).await? {
            Answer::Swapped(swapped) => Ok(swapped),
            _ => mismatch(),
        }
    }
}

/// The answer to another question than was asked, which no code path gives.
fn mismatch<T>() -> Result<T, KeyValueError> {
    Err(KeyValueError::Unavailable(
        "the operation failed".to_owned(),
    ))
}

/// `limits`, as far as the database can hold what they allow.
fn possible(limits: StoreLimits) -> StoreLimits {
    StoreLimits {
        key_bytes: limits.key_bytes.min(MAX_KEY_BYTES),
        ..limits
    }
}

#[async_trait]
impl KeyValue for Postgres {
    async fn get(
        &self,
        store: StoreId,
        keys: Vec<String>,
    ) -> Result<Vec<Option<Bytes>>, KeyValueError> {
        limits::check_keys(&keys)?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        match self.run(store, Operation::Get(keys), deadline()).await? {
            Answer::Values(values) => Ok(values),
            _ => mismatch(),
        }
    }

    async fn set(
        &self,
        store: StoreId,
        pairs: Vec<(String, Bytes)>,
        limits: StoreLimits,
    ) -> Result<(), KeyValueError> {
        limits::check_pairs(&pairs, possible(limits))?;
        // Of pairs with one key the last counts.
        let pairs: BTreeMap<_, _> = pairs.into_iter().collect();
        if pairs.is_empty() {
            return Ok(());
        }
        let set = Operation::Set {
            pairs: pairs.into_iter().collect(),
            limits,
        };
        self.run(store, set, deadline()).await.map(|_| ())
    }

    async fn delete(&self, store: StoreId, keys: Vec<String>) -> Result<(), KeyValueError> {
        limits::check_keys(&keys)?;
        if keys.is_empty() {
            return Ok(());
        }
        self.run(store, Operation::Delete(keys), deadline())
            .await
            .map(|_| ())
    }

    async fn exists(&self, store: StoreId, key: String) -> Result<bool, KeyValueError> {
        limits::check_call_bytes(key.len())?;
        match self.run(store, Operation::Exists(key), deadline()).await? {
            Answer::Exists(exists) => Ok(exists),
            _ => mismatch(),
        }
    }

    async fn list_keys(
        &self,
        store: StoreId,
        after: Option<String>,
        limit: u32,
    ) -> Result<KeyPage, KeyValueError> {
        limits::check_call_bytes(after.as_ref().map_or(0, String::len))?;
        let limit = limit.min(MAX_PAGE_KEYS);
        match self
            .run(store, Operation::List { after, limit }, deadline())
            .await?
        {
            Answer::Page(page) => Ok(page),
            _ => mismatch(),
        }
    }

    async fn increment(
        &self,
        store: StoreId,
        key: String,
        delta: i64,
        limits: StoreLimits,
    ) -> Result<i64, KeyValueError> {
        limits::check_key(&key, possible(limits))?;
        let until = deadline();
        // Within such a limit the database adds by itself, which writers of one key need.
        if limits.value_bytes >= counter::LONGEST {
            let add = Operation::Add {
                key: key.clone(),
                delta,
                limits,
            };
            match self.run(store, add, until).await? {
                Answer::Added(Some(sum)) => return Ok(sum),
                Answer::Added(None) => {}
                _ => return mismatch(),
            }
        }
        // It ends by the deadline, which each call within it keeps.
        loop {
            let held = self.value(store, &key, until).await?;
            let new = counter::add(held.as_deref(), delta, limits)?;
            if self
                .swap(store, &key, &held, new.to_string().into(), limits, until)
                .await?
            {
                return Ok(new);
            }
        }
    }

    async fn compare_and_swap(
        &self,
        store: StoreId,
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
        limits: StoreLimits,
    ) -> Result<Swap, KeyValueError> {
        limits::check_key(&key, possible(limits))?;
        limits::check_value(value.len(), limits)?;
        limits::check_call_bytes(value.len() + expected.as_ref().map_or(0, Bytes::len))?;
        let until = deadline();
        loop {
            if self
                .swap(store, &key, &expected, value.clone(), limits, until)
                .await?
            {
                return Ok(Swap::Done);
            }
            let current = self.value(store, &key, until).await?;
            // It may have become what was expected in between: then it was not lost.
            if current != expected {
                return Ok(Swap::Lost { current });
            }
        }
    }

    async fn usage(&self, store: StoreId) -> Result<Usage, KeyValueError> {
        match self.run(store, Operation::Usage, deadline()).await? {
            Answer::Usage(usage) => Ok(usage),
            _ => mismatch(),
        }
    }

    async fn purge(&self, store: StoreId) -> Result<(), KeyValueError> {
        let mut after = Vec::new();
        loop {
            let step = Operation::Purge { after };
            match self.run(store, step, deadline()).await? {
                Answer::Purged(None) => return Ok(()),
                Answer::Purged(Some(last)) => after = last,
                _ => return mismatch(),
            }
        }
    }
}

#[async_trait]
impl Backend for Postgres {
    /// Sets and deletes a key of a Store that is nobody's: a role may be permitted the one and not the other.
    async fn health(&self) -> Health {
        let (key, until) = ("probe".to_owned(), deadline());
        let set = Operation::Set {
            pairs: vec![(key.clone(), Bytes::new())],
            limits: StoreLimits::default(),
        };
        for probe in [set, Operation::Delete(vec![key])] {
            if let Err(error) = self.run(StoreId::NONE, probe, until).await {
                return fault::health(&error);
            }
        }
        match self.refusals.largest(Instant::now().into_std()) {
            // What guests write finds no room where a probe does.
            Some(_) => fault::full(),
            None => Health::Reachable,
        }
    }

    fn place(&self) -> Option<PlaceId> {
        self.calls.home.unrecorded()
    }

    fn keep_to(&self, place: Option<PlaceId>) {
        self.calls.home.record(place);
    }

    fn connections(&self) -> Option<Connections> {
        Some(self.calls.connections())
    }
}
