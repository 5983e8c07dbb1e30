//! The memory backend's bound, which no order of calls gets around.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use bytes::Bytes;
use futures::future::join_all;
use shoal_stores::{
    Backend, Health, KeyValue, KeyValueError, Memory, Reason, StoreId, StoreLimits, Usage,
    memory::MemoryOptions,
};

const MAX: u64 = 100_000;

fn memory() -> Memory {
    Memory::new(MemoryOptions { max_bytes: MAX })
}

async fn set(
    stores: &Memory,
    store: StoreId,
    key: &str,
    bytes: usize,
) -> Result<(), KeyValueError> {
    let pair = (key.to_owned(), Bytes::from(vec![7; bytes]));
    stores.set(store, vec![pair], StoreLimits::default()).await
}

#[tokio::test]
async fn a_write_beyond_the_bound_changes_nothing_and_room_comes_back() {
    let (stores, store, other) = (memory(), StoreId::random(), StoreId::random());
    set(&stores, store, "big", 60_000).await.unwrap();
    let full = KeyValueError::Unavailable(
        "its memory is full: all Stores of backend `memory` share 100000 bytes".to_owned(),
    );
    assert_eq!(set(&stores, other, "big", 60_000).await, Err(full.clone()));
    let pairs = [("small", 10), ("large", 60_000)]
        .map(|(key, bytes)| (key.to_owned(), Bytes::from(vec![7; bytes])));
    let both = stores.set(store, pairs.to_vec(), StoreLimits::default());
    assert_eq!(both.await, Err(full.clone()));
    assert_eq!(
        stores.usage(store).await,
        Ok(Usage {
            keys: 1,
            bytes: 60_003
        })
    );
    assert_eq!(stores.usage(other).await, Ok(Usage::default()));

    // A value is replaced in its own room, and a smaller one gives some back.
    set(&stores, store, "big", 90_000).await.unwrap();
    assert_eq!(set(&stores, other, "big", 60_000).await, Err(full));
    set(&stores, store, "big", 10).await.unwrap();
    set(&stores, other, "big", 60_000).await.unwrap();
    stores
        .delete(other, vec!["big".to_owned(), "big".to_owned()])
        .await
        .unwrap();
    stores
        .delete(store, vec!["big".to_owned(), "none".to_owned()])
        .await
        .unwrap();
    assert_eq!(stores.bytes(), 0);
}

#[tokio::test]
async fn a_memory_that_is_full_says_so_until_there_is_room_again() {
    let (stores, store) = (memory(), StoreId::random());
    set(&stores, store, "larger than all", 200_000)
        .await
        .unwrap_err();
    assert_eq!(stores.health().await, Health::Reachable);
    set(&stores, store, "big", 60_000).await.unwrap();
    set(&stores, store, "more", 60_000).await.unwrap_err();
    set(&stores, store, "small", 10).await.unwrap();
    let health = stores.health().await;
    let is_full = matches!(&health, Health::Failing { reason, message }
        if *reason == Reason::ReadOnly && message.contains("its memory is full"));
    assert!(is_full, "{health:?}");
    stores.delete(store, vec!["big".to_owned()]).await.unwrap();
    assert_eq!(stores.health().await, Health::Reachable);
}

#[tokio::test]
async fn a_piece_of_a_large_buffer_does_not_keep_the_buffer() {
    let (stores, store) = (memory(), StoreId::random());
    let large = Bytes::from(vec![7; 50_000]);
    let pair = ("key".to_owned(), large.slice(0..10));
    stores
        .set(store, vec![pair], StoreLimits::default())
        .await
        .unwrap();
    assert!(large.is_unique());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bound_holds_under_many_writers() {
    let stores = std::sync::Arc::new(memory());
    let writers = (0..8).map(|writer: usize| {
        let stores = stores.clone();
        tokio::spawn(async move {
            let store = StoreId::random();
            for n in 0..500 {
                // Some find no room.
                let _ = set(&stores, store, &(n % 50).to_string(), n * 31 % 3000).await;
                assert!(stores.bytes() <= MAX);
                if n % 7 == writer % 7 {
                    stores
                        .delete(store, vec![(n % 50).to_string()])
                        .await
                        .unwrap();
                }
            }
            let all = (0..50).map(|n| n.to_string()).collect();
            stores.delete(store, all).await.unwrap();
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    assert_eq!(stores.bytes(), 0);
}
