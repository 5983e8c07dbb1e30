//! Stores of another backend, and how large the pages are that were listed of them.

use std::{
    mem,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use shoal_stores::{
    Backend, Health, KeyValue, KeyValueError, StoreId, StoreLimits, Usage,
    key_value::{KeyPage, Swap},
};

/// What one page held.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub keys: usize,
    pub bytes: usize,
}

pub struct Paged {
    stores: Arc<dyn Backend>,
    pages: Mutex<Vec<Page>>,
}

impl Paged {
    pub fn over(stores: Arc<dyn Backend>) -> Self {
        Self {
            stores,
            pages: Mutex::default(),
        }
    }

    /// The pages since this was last asked.
    pub fn take(&self) -> Vec<Page> {
        mem::take(&mut *self.pages.lock().unwrap())
    }
}

#[async_trait]
impl KeyValue for Paged {
    async fn get(
        &self,
        store: StoreId,
        keys: Vec<String>,
    ) -> Result<Vec<Option<Bytes>>, KeyValueError> {
        self.stores.get(store, keys).await
    }

    async fn set(
        &self,
        store: StoreId,
        pairs: Vec<(String, Bytes)>,
        limits: StoreLimits,
    ) -> Result<(), KeyValueError> {
        self.stores.set(store, pairs, limits).await
    }

    async fn delete(&self, store: StoreId, keys: Vec<String>) -> Result<(), KeyValueError> {
        self.stores.delete(store, keys).await
    }

    async fn exists(&self, store: StoreId, key: String) -> Result<bool, KeyValueError> {
        self.stores.exists(store, key).await
    }

    async fn list_keys(
        &self,
        store: StoreId,
        after: Option<String>,
        limit: u32,
    ) -> Result<KeyPage, KeyValueError> {
        let page = self.stores.list_keys(store, after, limit).await?;
        self.pages.lock().unwrap().push(Page {
            keys: page.keys.len(),
            bytes: page.keys.iter().map(String::len).sum(),
        });
        Ok(page)
    }

    async fn increment(
        &self,
        store: StoreId,
        key: String,
        delta: i64,
        limits: StoreLimits,
    ) -> Result<i64, KeyValueError> {
        self.stores.increment(store, key, delta, limits).await
    }

    async fn compare_and_swap(
        &self,
        store: StoreId,
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
        limits: StoreLimits,
    ) -> Result<Swap, KeyValueError> {
        self.stores
            .compare_and_swap(store, key, expected, value, limits)
            .await
    }

    async fn usage(&self, store: StoreId) -> Result<Usage, KeyValueError> {
        self.stores.usage(store).await
    }

    async fn purge(&self, store: StoreId) -> Result<(), KeyValueError> {
        self.stores.purge(store).await
    }
}

#[async_trait]
impl Backend for Paged {
    async fn health(&self) -> Health {
        self.stores.health().await
    }
}
