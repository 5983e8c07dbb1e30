//! Key-value stores, as the guest interfaces `wasi:keyvalue` and `fermyon:spin/key-value` need them.

use async_trait::async_trait;
use bytes::Bytes;

use crate::StoreId;

/// A backend of key-value stores. One instance serves every Store of its class.
///
/// Calls on one Store are linearizable: a read after an acknowledged write, from any node, sees it.
/// A write is durable when its call returns `Ok`, unless the backend says otherwise.
/// Keys are UTF-8 of 1 to [`StoreLimits::key_bytes`] bytes; every byte counts (no normalisation).
#[async_trait]
pub trait KeyValue: Send + Sync + 'static {
    /// Values of `keys`, in their order; `None` where a key does not exist.
    async fn get(
        &self,
        store: StoreId,
        keys: Vec<String>,
    ) -> Result<Vec<Option<Bytes>>, KeyValueError>;

    /// Sets all `pairs`, or none of them. Of pairs with one key the last counts.
    async fn set(
        &self,
        store: StoreId,
        pairs: Vec<(String, Bytes)>,
        limits: StoreLimits,
    ) -> Result<(), KeyValueError>;

    /// Deletes all `keys`, or none; a key that does not exist is no error.
    async fn delete(&self, store: StoreId, keys: Vec<String>) -> Result<(), KeyValueError>;

    /// Whether `key` exists.
    async fn exists(&self, store: StoreId, key: String) -> Result<bool, KeyValueError>;

    /// Keys after `after` (exclusive; `None`: from the first) in byte order, at most `limit`, which
    /// the backend may lower.
    async fn list_keys(
        &self,
        store: StoreId,
        after: Option<String>,
        limit: u32,
    ) -> Result<KeyPage, KeyValueError>;

    /// Adds `delta` to the decimal ASCII integer at `key` (absent counts as 0), atomically; gives
    /// the new value.
    ///
    /// # Errors
    /// [`KeyValueError::NotAnInteger`] where the value is none, or the sum overflows an `i64`.
    async fn increment(
        &self,
        store: StoreId,
        key: String,
        delta: i64,
        limits: StoreLimits,
    ) -> Result<i64, KeyValueError>;

    /// Sets `key` to `value` if it now holds `expected` (`None`: does not exist), atomically.
    async fn compare_and_swap(
        &self,
        store: StoreId,
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
        limits: StoreLimits,
    ) -> Result<Swap, KeyValueError>;

    /// What `store` holds now: what its limits of keys and bytes are held against.
    async fn usage(&self, store: StoreId) -> Result<Usage, KeyValueError>;

    /// Deletes every key that `store` holds when it begins, in steps between which others take their
    /// turns. A key that is written meanwhile may stay. One that fails has deleted a part; done again, it
    /// goes on with the rest.
    async fn purge(&self, store: StoreId) -> Result<(), KeyValueError>;
}

/// Bounds of one Store. They travel with each write, since a class may change them at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// Longest key, in bytes.
    pub key_bytes: u64,
    /// Longest value, in bytes.
    pub value_bytes: u64,
    /// Most keys, at least 1; `None`: as many as there is room for.
    pub keys: Option<u64>,
    /// Most bytes of keys and values together, at least 1; `None`: as many as there is room for.
    pub bytes: Option<u64>,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            key_bytes: 1024,
            value_bytes: 1024 * 1024,
            keys: None,
            bytes: None,
        }
    }
}

/// A page of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPage {
    /// Keys in byte order.
    pub keys: Vec<String>,
    /// Whether keys follow after the last of these.
    pub more: bool,
}

/// What a Store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Keys.
    pub keys: u64,
    /// Bytes of keys and values, without what the backend adds to them.
    pub bytes: u64,
}

/// What became of a compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The key held what was expected, and holds the new value now.
    Done,
    /// The key holds something else, and was left as it is.
    Lost {
        /// What it holds; `None`: it does not exist.
        current: Option<Bytes>,
    },
}

/// Why a call failed. Messages are for guests: they name limits, never hosts, paths or credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyValueError {
    /// This runtime may not open that Store.
    #[error("access to this store is denied")]
    AccessDenied,
    /// A key, value, count or size is over its limit; the text names the limit.
    #[error("{0}")]
    LimitExceeded(String),
    /// `increment` of something that is no integer, or beyond the range of one.
    #[error("the value is not a decimal integer of 64 bits, or the sum is beyond its range")]
    NotAnInteger,
    /// The backend cannot serve now (down, disk full, read-only, too slow); the text says which.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}
