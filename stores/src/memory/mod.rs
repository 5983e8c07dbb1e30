//! Key-value stores in the memory of this process: they end with it.
//!
//! Stores are spread over shards by their id; one lock holds a shard, so that every call on a Store
//! sees and leaves it whole. All of them together stay within a number of bytes.

mod ledger;
mod shelf;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::task::yield_now;

use self::{ledger::Ledger, shelf::Shelf};
use crate::{
    Backend, Health, KeyValue, KeyValueError, Reason, StoreId, StoreLimits, Usage,
    key_value::{KeyPage, Swap},
    limits,
};

/// Locks that Stores are spread over.
const SHELVES: usize = 64;
/// Keys of one step of a purge.
const PURGED_AT_ONCE: usize = 1000;

/// How much the memory backend may hold.
#[derive(Clone, Copy, Debug)]
pub struct MemoryOptions {
    /// Bytes of all keys and values of all Stores, with what keeping them costs. Writes beyond it fail
    /// as unavailable.
    pub max_bytes: u64,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            max_bytes: 64 * 1024 * 1024,
        }
    }
}

/// See the module.
pub struct Memory {
    shelves: Vec<Mutex<Shelf>>,
    ledger: Ledger,
}

impl Memory {
    /// Empty stores.
    pub fn new(options: MemoryOptions) -> Self {
        Self {
            shelves: (0..SHELVES).map(|_| Mutex::default()).collect(),
            ledger: Ledger::new(options.max_bytes),
        }
    }

    /// Bytes that are counted towards [`MemoryOptions::max_bytes`] now.
    pub fn bytes(&self) -> u64 {
        self.ledger.used()
    }

    fn with<T>(
        &self,
        store: StoreId,
        work: impl FnOnce(&mut Shelf) -> Result<T, KeyValueError>,
    ) -> Result<T, KeyValueError> {
        // The last bytes of a UUID are random in every version that is made today.
        let [.., low] = *store.as_bytes();
        match self.shelves.get(usize::from(low) % SHELVES) {
            Some(shelf) => work(&mut shelf.lock()),
            None => Err(KeyValueError::Unavailable("it is not open".to_owned())),
        }
    }
}

#[async_trait]
impl KeyValue for Memory {
    async fn get(
        &self,
        store: StoreId,
        keys: Vec<String>,
    ) -> Result<Vec<Option<Bytes>>, KeyValueError> {
        limits::check_keys(&keys)?;
        let values = self.with(store, |shelf| Ok(shelf.get(store, &keys)))?;
        limits::check_call_bytes(values.iter().flatten().map(Bytes::len).sum())?;
        Ok(values)
    }

    async fn set(
        &self,
        store: StoreId,
        pairs: Vec<(String, Bytes)>,
        limits: StoreLimits,
    ) -> Result<(), KeyValueError> {
        limits::check_pairs(&pairs, limits)?;
        self.with(store, |shelf| shelf.set(store, pairs, limits, &self.ledger))
    }

    async fn delete(&self, store: StoreId, keys: Vec<String>) -> Result<(), KeyValueError> {
        limits::check_keys(&keys)?;
        self.with(store, |shelf| {
            shelf.delete(store, &keys, &self.ledger);
            Ok(())
        })
    }

    async fn exists(&self, store: StoreId, key: String) -> Result<bool, KeyValueError> {
        limits::check_call_bytes(key.len())?;
        self.with(store, |shelf| Ok(shelf.value(store, &key).is_some()))
    }

    async fn list_keys(
        &self,
        store: StoreId,
        after: Option<String>,
        limit: u32,
    ) -> Result<KeyPage, KeyValueError> {
        limits::check_call_bytes(after.as_ref().map_or(0, String::len))?;
        let limit = limit.min(limits::MAX_PAGE_KEYS);
        self.with(store, |shelf| {
            Ok(shelf.list(store, after.as_deref(), limit))
        })
    }

    async fn increment(
        &self,
        store: StoreId,
        key: String,
        delta: i64,
        limits: StoreLimits,
    ) -> Result<i64, KeyValueError> {
        limits::check_key(&key, limits)?;
        self.with(store, |shelf| {
            let held = shelf.value(store, &key);
            let new = crate::counter::add(held.as_deref(), delta, limits)?;
            shelf.set(
                store,
                vec![(key, new.to_string().into())],
                limits,
                &self.ledger,
            )?;
            Ok(new)
        })
    }

    async fn compare_and_swap(
        &self,
        store: StoreId,
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
        limits: StoreLimits,
    ) -> Result<Swap, KeyValueError> {
        limits::check_key(&key, limits)?;
        limits::check_value(value.len(), limits)?;
        limits::check_call_bytes(value.len() + expected.as_ref().map_or(0, Bytes::len))?;
        self.with(store, |shelf| {
            let current = shelf.value(store, &key);
            if current != expected {
                return Ok(Swap::Lost { current });
            }
            shelf.set(store, vec![(key, value)], limits, &self.ledger)?;
            Ok(Swap::Done)
        })
    }

    async fn usage(&self, store: StoreId) -> Result<Usage, KeyValueError> {
        self.with(store, |shelf| Ok(shelf.usage(store)))
    }

    async fn purge(&self, store: StoreId) -> Result<(), KeyValueError> {
        let mut taken = self.with(store, |shelf| Ok(shelf.take(store, &self.ledger)))?;
        while taken.free(PURGED_AT_ONCE) {
            yield_now().await;
        }
        Ok(())
    }
}

#[async_trait]
impl Backend for Memory {
    /// It is there as long as its process is, but may be full.
    async fn health(&self) -> Health {
        match self.ledger.shortage() {
            Some(full) => Health::of(Reason::ReadOnly, &full),
            None => Health::Reachable,
        }
    }
}
