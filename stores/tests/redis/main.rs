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
#[path = "../counts/mod.rs"]
mod counts;
mod durability;
mod faults;
mod isolation;
mod place;
#[path = "../proxy/mod.rs"]
mod proxy;
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
