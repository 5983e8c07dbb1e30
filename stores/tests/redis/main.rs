//! The Redis backend on a real server: the contract, and servers that misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod cluster;
mod connections;
mod contract;
mod durability;
mod faults;
mod isolation;
#[path = "../redis_server/mod.rs"]
mod redis_server;
mod rotation;
mod tls;

use bytes::Bytes;
use shoal_stores::{Backend, Health, KeyValue, KeyValueError, Reason, Redis, StoreId, StoreLimits};

fn limits() -> StoreLimits {
    StoreLimits::default()
}

fn pair(key: &str, value: &str) -> Vec<(String, Bytes)> {
    vec![(key.to_owned(), Bytes::copy_from_slice(value.as_bytes()))]
}

async fn set(stores: &Redis, store: StoreId, key: &str, value: &str) -> Result<(), KeyValueError> {
    stores.set(store, pair(key, value), limits()).await
}

async fn get(stores: &Redis, store: StoreId, key: &str) -> Result<Option<Bytes>, KeyValueError> {
    let values = stores.get(store, vec![key.to_owned()]).await?;
    Ok(values.into_iter().next().unwrap())
}

fn unavailable<T>(reason: &str) -> Result<T, KeyValueError> {
    Err(KeyValueError::Unavailable(reason.to_owned()))
}

/// Why the server does not serve; `None`: it does.
async fn reason(stores: &Redis) -> Option<Reason> {
    match stores.health().await {
        Health::Reachable => None,
        Health::Failing { reason, .. } => Some(reason),
    }
}

/// What is listed is what is there, and what is counted.
async fn assert_consistent(stores: &Redis, store: StoreId) {
    let (mut keys, mut bytes, mut after) = (0, 0, None);
    loop {
        let page = stores.list_keys(store, after, 1000).await.unwrap();
        let values = stores.get(store, page.keys.clone()).await.unwrap();
        for (key, value) in page.keys.iter().zip(values) {
            keys += 1;
            bytes += (key.len() + value.unwrap().len()) as u64;
        }
        after = page.keys.last().cloned();
        if !page.more {
            break;
        }
    }
    let usage = stores.usage(store).await.unwrap();
    assert_eq!((usage.keys, usage.bytes), (keys, bytes));
}
