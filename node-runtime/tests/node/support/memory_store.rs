//! A key-value backend in memory that the tests can slow down and make ill.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use shoal_stores::{
    Backend, Health, KeyValue, KeyValueError, Reason, StoreId, StoreLimits, Usage,
    key_value::{KeyPage, Swap},
};
use tokio::sync::watch;

/// Keys of a page: few, so that pages are seen.
const PAGE: usize = 10;

#[derive(Default)]
pub struct MemoryStore {
    values: Mutex<BTreeMap<(StoreId, String), Bytes>>,
    delay: Mutex<Duration>,
    held: watch::Sender<bool>,
    waiting: AtomicUsize,
    is_ill: AtomicBool,
}

/// A call that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl MemoryStore {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn delay(&self, by: Duration) {
        *self.delay.lock().unwrap() = by;
    }

    /// Calls that get, set or ask whether a key is there wait from now on.
    pub fn hold(&self) {
        self.held.send_replace(true);
    }

    /// Lets those go on that wait.
    pub fn release(&self) {
        self.held.send_replace(false);
    }

    /// How many calls wait at once.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// From now on it says that it does not do well.
    pub fn ail(&self, is_ill: bool) {
        self.is_ill.store(is_ill, Ordering::Relaxed);
    }

    async fn wait(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.waiting);
        // Its sender is here.
        let _ = self.held.subscribe().wait_for(|held| !held).await;
        let delay = *self.delay.lock().unwrap();
        if !delay.is_zero() {
            tokio::time::timeout(delay, std::future::pending::<()>())
                .await
                .unwrap_err();
        }
    }
}

#[async_trait]
impl KeyValue for MemoryStore {
    async fn get(
        &self,
        store: StoreId,
        keys: Vec<String>,
    ) -> Result<Vec<Option<Bytes>>, KeyValueError> {
        self.wait().await;
        let values = self.values.lock().unwrap();
        Ok(keys
            .into_iter()
            .map(|key| values.get(&(store, key)).cloned())
            .collect())
    }

    async fn set(
        &self,
        store: StoreId,
        pairs: Vec<(String, Bytes)>,
        _: StoreLimits,
    ) -> Result<(), KeyValueError> {
        self.wait().await;
        let pairs = pairs.into_iter().map(|(key, value)| ((store, key), value));
        self.values.lock().unwrap().extend(pairs);
        Ok(())
    }

    async fn delete(&self, store: StoreId, keys: Vec<String>) -> Result<(), KeyValueError> {
        let mut values = self.values.lock().unwrap();
        for key in keys {
            values.remove(&(store, key));
        }
        Ok(())
    }

    async fn exists(&self, store: StoreId, key: String) -> Result<bool, KeyValueError> {
        self.wait().await;
        Ok(self.values.lock().unwrap().contains_key(&(store, key)))
    }

    async fn list_keys(
        &self,
        store: StoreId,
        after: Option<String>,
        limit: u32,
    ) -> Result<KeyPage, KeyValueError> {
        let values = self.values.lock().unwrap();
        let start = match after {
            Some(after) => Bound::Excluded((store, after)),
            None => Bound::Included((store, String::new())),
        };
        let keys = values
            .range((start, Bound::Unbounded))
            .map(|(key, _)| key.clone());
        let mut keys: Vec<_> = keys
            .take_while(|(id, _)| *id == store)
            .map(|(_, k)| k)
            .collect();
        let most = PAGE.min(limit as usize);
        let more = keys.len() > most;
        keys.truncate(most);
        Ok(KeyPage { keys, more })
    }

    async fn increment(
        &self,
        store: StoreId,
        key: String,
        delta: i64,
        _: StoreLimits,
    ) -> Result<i64, KeyValueError> {
        let mut values = self.values.lock().unwrap();
        let now = match values.get(&(store, key.clone())) {
            None => 0,
            Some(value) => std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or(KeyValueError::NotAnInteger)?,
        };
        let sum = i64::checked_add(now, delta).ok_or(KeyValueError::NotAnInteger)?;
        values.insert((store, key), sum.to_string().into());
        Ok(sum)
    }

    async fn compare_and_swap(
        &self,
        store: StoreId,
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
        _: StoreLimits,
    ) -> Result<Swap, KeyValueError> {
        let mut values = self.values.lock().unwrap();
        let current = values.get(&(store, key.clone())).cloned();
        if current != expected {
            return Ok(Swap::Lost { current });
        }
        values.insert((store, key), value);
        Ok(Swap::Done)
    }

    async fn usage(&self, store: StoreId) -> Result<Usage, KeyValueError> {
        let values = self.values.lock().unwrap();
        let mut usage = Usage::default();
        for ((_, key), value) in values.iter().filter(|((id, _), _)| *id == store) {
            usage.keys += 1;
            usage.bytes += (key.len() + value.len()) as u64;
        }
        Ok(usage)
    }

    async fn purge(&self, store: StoreId) -> Result<(), KeyValueError> {
        self.values
            .lock()
            .unwrap()
            .retain(|(id, _), _| *id != store);
        Ok(())
    }
}

#[async_trait]
impl Backend for MemoryStore {
    async fn health(&self) -> Health {
        match self.is_ill.load(Ordering::Relaxed) {
            false => Health::Reachable,
            true => Health::Failing {
                reason: Reason::Unreachable,
                message: "the test says so".to_owned(),
            },
        }
    }
}
