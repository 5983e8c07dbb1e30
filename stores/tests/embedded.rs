//! The embedded backend under many callers, large Stores, and disks that misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod counts;

use std::{fs, sync::Arc, time::Instant};

use bytes::Bytes;
use futures::future::join_all;
use shoal_stores::{
    Embedded, KeyValue, KeyValueError, MAX_BYTES_PER_CALL, MAX_PAGE_KEYS, StoreId, StoreLimits,
    Usage,
    embedded::{Durability, EmbeddedOptions, OpenError},
};

fn limits() -> StoreLimits {
    StoreLimits::default()
}

fn open(folder: &tempfile::TempDir) -> Arc<Embedded> {
    // What is looked at does not end with the machine.
    let options = EmbeddedOptions {
        durability: Durability::Relaxed,
        ..EmbeddedOptions::default()
    };
    Arc::new(Embedded::open(folder.path(), options).unwrap())
}

/// As many Stores as there are shards, each in a shard of its own (or not: ids are random).
async fn set(stores: &Embedded, store: StoreId, key: &str, value: &str) {
    let pair = (key.to_owned(), Bytes::copy_from_slice(value.as_bytes()));
    stores.set(store, vec![pair], limits()).await.unwrap();
}

async fn get(stores: &Embedded, store: StoreId, key: &str) -> Option<Bytes> {
    stores
        .get(store, vec![key.to_owned()])
        .await
        .unwrap()
        .remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writers_share_commits() {
    const WRITERS: u64 = 200;
    const EACH: u64 = 10;
    let folder = tempfile::tempdir().unwrap();
    let stores = Embedded::open(folder.path(), EmbeddedOptions::default());
    let (stores, store) = (Arc::new(stores.unwrap()), StoreId::random());
    let before = stores.commits();
    let start = Instant::now();
    join_all((0..WRITERS).map(|writer| {
        let stores = stores.clone();
        tokio::spawn(async move {
            for index in 0..EACH {
                set(&stores, store, &format!("{writer}-{index}"), "value").await;
            }
        })
    }))
    .await;
    let commits = stores.commits() - before;
    println!(
        "{} durable writes in {commits} commits, {:?}",
        WRITERS * EACH,
        start.elapsed()
    );
    assert!(commits * 10 <= WRITERS * EACH, "{commits} commits");
}

#[tokio::test]
async fn a_write_that_fails_leaves_those_beside_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(&folder);
    let store = StoreId::random();
    set(&stores, store, "text", "no number").await;
    let calls = (0..40).map(|index| {
        let stores = stores.clone();
        async move {
            let key = if index % 2 == 0 { "text" } else { "number" };
            stores.increment(store, key.to_owned(), 1, limits()).await
        }
    });
    for (index, result) in join_all(calls).await.into_iter().enumerate() {
        match index % 2 {
            0 => assert_eq!(result, Err(KeyValueError::NotAnInteger)),
            _ => assert!(result.is_ok(), "{result:?}"),
        }
    }
    assert_eq!(get(&stores, store, "number").await.unwrap(), "20");
}

#[tokio::test]
async fn a_hundred_thousand_keys_are_listed_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(&folder);
    let (store, neighbour) = (StoreId::random(), StoreId::random());
    set(&stores, neighbour, "key-00000000", "not mine").await;
    for block in 0..100 {
        let pairs = (0..1000).map(|i| (format!("key-{:08}", block * 1000 + i), Bytes::new()));
        stores.set(store, pairs.collect(), limits()).await.unwrap();
    }
    let start = Instant::now();
    let (mut count, mut pages, mut after) = (0, 0, None);
    loop {
        let page = stores.list_keys(store, after, u32::MAX).await.unwrap();
        assert!(page.keys.len() <= MAX_PAGE_KEYS as usize);
        for key in &page.keys {
            assert_eq!(*key, format!("key-{count:08}"));
            count += 1;
        }
        pages += 1;
        after = page.keys.last().cloned();
        if !page.more {
            break;
        }
    }
    println!("100000 keys in {pages} pages, {:?}", start.elapsed());
    assert_eq!((count, pages), (100_000, 100));
    assert_eq!(
        stores.list_keys(neighbour, None, 10).await.unwrap().keys,
        ["key-00000000"]
    );
}

#[tokio::test]
async fn what_is_too_much_for_one_call_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(&folder);
    let store = StoreId::random();
    let roomy = StoreLimits {
        key_bytes: 1024,
        value_bytes: MAX_BYTES_PER_CALL as u64,
        ..StoreLimits::default()
    };
    let large = Bytes::from(vec![7; MAX_BYTES_PER_CALL - 1]);
    stores
        .set(store, vec![("a".into(), large.clone())], roomy)
        .await
        .unwrap();
    stores
        .set(store, vec![("b".into(), large)], roomy)
        .await
        .unwrap();
    let one = stores.get(store, vec!["a".into()]).await.unwrap();
    assert_eq!(one[0].as_ref().unwrap().len(), MAX_BYTES_PER_CALL - 1);
    let both = stores
        .get(store, vec!["a".into(), "b".into()])
        .await
        .unwrap_err();
    assert!(matches!(both, KeyValueError::LimitExceeded(_)), "{both}");
    let many = stores.get(store, vec!["a".into(); 1001]).await.unwrap_err();
    assert!(many.to_string().contains("1000"), "{many}");
    let long = stores
        .set(store, vec![("k".repeat(1025), Bytes::new())], limits())
        .await;
    assert!(long.unwrap_err().to_string().contains("1024"));
    let large = Bytes::from(vec![0; 1024 * 1024 + 1]);
    let error = stores
        .set(store, vec![("k".into(), large)], limits())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("1048576"), "{error}");
}

#[tokio::test]
async fn stores_are_found_again_whatever_number_of_files_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let ids: Vec<_> = (0..20).map(|_| StoreId::random()).collect();
    let with = |shards| EmbeddedOptions {
        shards,
        ..EmbeddedOptions::default()
    };
    let stores = Embedded::open(folder.path(), with(4)).unwrap();
    for id in &ids {
        set(&stores, *id, "key", &id.to_string()).await;
    }
    drop(stores);
    let stores = Embedded::open(folder.path(), with(7)).unwrap();
    for id in &ids {
        assert_eq!(get(&stores, *id, "key").await.unwrap(), id.to_string());
    }
}

#[tokio::test]
async fn a_missing_file_is_never_replaced_by_an_empty_one() {
    for name in ["kv-2.db", "kv-0.db"] {
        let folder = tempfile::tempdir().unwrap();
        drop(open(&folder));
        fs::remove_file(folder.path().join(name)).unwrap();
        let error = Embedded::open(folder.path(), EmbeddedOptions::default())
            .err()
            .unwrap();
        assert!(
            matches!(&error, OpenError::Missing { path } if path.ends_with(name)),
            "{error}"
        );
        assert!(!folder.path().join(name).exists());
    }
}

#[tokio::test]
async fn a_damaged_file_fails_its_stores_with_a_plain_reason_and_spares_the_others() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    let file = folder.path().join("kv-1.db");
    let sound = fs::read(&file).unwrap();
    fs::write(&file, vec![0x55; 8192]).unwrap();
    let stores = open(&folder);
    // Ids whose last bytes choose the first and the second of four files.
    let well: StoreId = "00000000-0000-4000-8000-000000000000".parse().unwrap();
    let ill: StoreId = "00000000-0000-4000-8000-000000000001".parse().unwrap();
    set(&stores, well, "key", "value").await;
    let pair = || vec![("key".to_owned(), Bytes::from_static(b"value"))];
    let damaged = KeyValueError::Unavailable("its data is damaged".to_owned());
    assert_eq!(
        stores.set(ill, pair(), limits()).await,
        Err(damaged.clone())
    );
    assert_eq!(stores.get(ill, vec!["key".into()]).await, Err(damaged));
    assert!(stores.probe().await.is_err());
    assert_eq!(get(&stores, well, "key").await.unwrap(), "value");

    // Restored from a backup, under a running process.
    fs::write(&file, sound).unwrap();
    let mut result = Err(KeyValueError::AccessDenied);
    for _ in 0..18_000 {
        result = stores.set(ill, pair(), limits()).await;
        if result.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(result, Ok(()));
    assert_eq!(get(&stores, ill, "key").await.unwrap(), "value");
    stores.probe().await.unwrap();
}

#[tokio::test]
async fn closing_finishes_what_was_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(&folder);
    let store = StoreId::random();
    let mut writes: Vec<_> = (0..300)
        .map(|index| {
            let stores = stores.clone();
            Box::pin(async move {
                let pair = (index.to_string(), Bytes::from_static(b"x"));
                stores.set(store, vec![pair], limits()).await
            })
        })
        .collect();
    // Polled once each: queued, not yet answered.
    for write in &mut writes {
        assert!(futures::poll!(write.as_mut()).is_pending());
    }
    let results = join_all(writes).await;
    assert!(results.iter().all(Result::is_ok));
    drop(stores);
    let stores = open(&folder);
    assert_eq!(
        stores
            .list_keys(store, None, 1000)
            .await
            .unwrap()
            .keys
            .len(),
        300
    );
}

#[tokio::test]
async fn files_of_before_there_were_counts_are_counted_when_they_are_opened() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    // Each file as version 1 made it.
    let stores: Vec<StoreId> = (0..8).map(|_| StoreId::random()).collect();
    for file in 0..4 {
        let file = folder.path().join(format!("kv-{file}.db"));
        let connection = rusqlite::Connection::open(file).unwrap();
        connection
            .execute_batch("DROP TABLE usage; PRAGMA user_version = 1;")
            .unwrap();
        for store in &stores {
            for key in ["key", "k\u{e9}y"] {
                connection
                    .execute(
                        "INSERT INTO kv(store, key, value) VALUES (?1, ?2, ?3)",
                        rusqlite::params![store.as_bytes(), key.as_bytes(), vec![7_u8; 100_000]],
                    )
                    .unwrap();
            }
        }
    }
    let expected = Usage {
        keys: 2,
        bytes: 200_007,
    };
    for _ in 0..2 {
        let opened = open(&folder);
        for store in &stores {
            assert_eq!(opened.usage(*store).await, Ok(expected));
        }
    }
    let opened = open(&folder);
    opened.delete(stores[0], vec!["key".into()]).await.unwrap();
    counts::assert_exact(&*opened, stores[0]).await;
}
