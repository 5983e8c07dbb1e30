//! What is bounded, what is counted, and what keeps one prefix from another.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use shoal_stores::{Usage, postgres::MAX_KEY_BYTES};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_connections_are_held_than_allowed() {
    let Some(server) = server("connections", &["fsync=off"]).await else {
        return;
    };
    let mut options = options(&server.url());
    options.max_connections = 3;
    let stores = Arc::new(Postgres::new(&options).unwrap());
    let ids = [(); 7].map(|()| StoreId::random());
    let admin = server.admin().await;
    let load = async || {
        // Each of them is to have its turn in time on a slow machine too.
        let calls = join_all((0..60).map(|n| {
            let stores = stores.clone();
            tokio::spawn(async move { add(&stores, ids[n % 7], "sum").await })
        }));
        assert!(
            calls
                .await
                .into_iter()
                .all(|call| matches!(call, Ok(Ok(_))))
        );
    };
    let (done, mut most) = (AtomicBool::new(false), 0);
    let watch = async {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shoal'";
        while !done.load(Ordering::Relaxed) {
            let now: i64 = admin.query_one(count, &[]).await.unwrap().get(0);
            most = most.max(now);
        }
    };
    let loads = async {
        for _ in 0..5 {
            load().await;
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(watch, loads);
    assert!((2..=3).contains(&most), "{most} connections");

    // Other options take the place of these under load, and the number with them.
    for max in [2, 1, 3] {
        options.max_connections = max;
        let (changed, ()) = tokio::join!(stores.reconfigure(&options), load());
        changed.unwrap();
        load().await;
        // A server needs a moment to see that a session was closed.
        until("those that are too many are closed", async || {
            sessions(&server, "true").await <= i64::from(max)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_stores_share_a_few_connections() {
    let Some(server) = server("thousands of stores", &["fsync=off"]).await else {
        return;
    };
    let mut options = options(&server.url());
    options.max_connections = 4;
    let stores = Arc::new(Postgres::new(&options).unwrap());
    let ids: Vec<_> = (0..3000).map(|_| StoreId::random()).collect();
    for some in ids.chunks(100) {
        let sums = join_all(some.iter().map(|id| add(&stores, *id, "sum"))).await;
        assert!(sums.iter().all(|sum| *sum == Ok(1)), "{sums:?}");
        assert!(sessions(&server, "true").await <= 4);
    }
    let kept = server.admin().await;
    let count = "SELECT count(DISTINCT store) FROM shoal_kv";
    let count: i64 = kept.query_one(count, &[]).await.unwrap().get(0);
    assert_eq!(count, 3000);
}

#[tokio::test]
async fn a_server_that_takes_no_more_connections_makes_calls_wait() {
    let Some(server) = server("too many connections", &["fsync=off"]).await else {
        return;
    };
    let admin = server.admin().await;
    admin
        .batch_execute("CREATE ROLE few LOGIN CONNECTION LIMIT 1")
        .await
        .unwrap();
    admin
        .batch_execute("GRANT CREATE ON SCHEMA public TO few")
        .await
        .unwrap();
    let (stores, store) = (open(&server.url_of("few", "none")), StoreId::random());
    let calls = join_all((0..30).map(|_| add(&stores, store, "sum"))).await;
    assert!(calls.iter().all(Result::is_ok), "{calls:?}");
    admin
        .batch_execute("ALTER ROLE few CONNECTION LIMIT 0")
        .await
        .unwrap();
    let stores = open(&server.url_of("few", "none"));
    let reason = unavailable(&server, add(&stores, store, "sum").await);
    assert_eq!(reason, "it has too many connections");
}

#[tokio::test]
async fn the_longest_key_fits_and_a_longer_one_is_refused_by_its_limit() {
    let Some(server) = server("long keys", &["fsync=off"]).await else {
        return;
    };
    let (stores, store) = (open(&server.url()), StoreId::random());
    let roomy = StoreLimits {
        key_bytes: 1 << 20,
        ..limits()
    };
    // Nothing that could be compressed.
    let random: String = (0..64)
        .map(|_| StoreId::random().to_string().replace('-', ""))
        .collect();
    let longest = random[..MAX_KEY_BYTES as usize].to_owned();
    let pair = |key: &str| vec![(key.to_owned(), Bytes::from_static(b"value"))];
    stores.set(store, pair(&longest), roomy).await.unwrap();
    assert_eq!(
        get(&stores, store, &longest).await.unwrap().unwrap(),
        "value"
    );
    let longer = format!("{longest}x");
    let error = stores.set(store, pair(&longer), roomy).await.unwrap_err();
    assert!(
        matches!(&error, KeyValueError::LimitExceeded(text) if text.contains("2048")),
        "{error}"
    );
    assert_eq!(get(&stores, store, &longer).await, Ok(None));
    assert_eq!(stores.exists(store, longer).await, Ok(false));
}

#[tokio::test]
async fn a_prefix_sees_nothing_of_another() {
    let Some(server) = server("prefixes", &["fsync=off"]).await else {
        return;
    };
    let store = StoreId::random();
    let of = |prefix: &str| {
        let mut options = options(&server.url());
        options.prefix = prefix.to_owned();
        Postgres::new(&options).unwrap()
    };
    // Names that would meet if a prefix were only put in front of something.
    let all = ["a", "a_kv", "a_kv_kv", "a_usage", "a_meta", "shoal"].map(of);
    for (index, stores) in all.iter().enumerate() {
        set(stores, store, "key", &index.to_string()).await.unwrap();
    }
    for (index, stores) in all.iter().enumerate() {
        assert_eq!(
            get(stores, store, "key").await.unwrap().unwrap(),
            index.to_string()
        );
        stores.delete(store, vec!["key".to_owned()]).await.unwrap();
        assert_eq!(get(stores, store, "key").await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_store_that_was_purged_leaves_no_row() {
    let Some(server) = server("purged", &["fsync=off"]).await else {
        return;
    };
    let (stores, gone, kept) = (open(&server.url()), StoreId::random(), StoreId::random());
    let limits = StoreLimits {
        keys: Some(10),
        ..StoreLimits::default()
    };
    for store in [gone, kept] {
        set(&stores, store, "free", "value").await.unwrap();
        let bounded = vec![("bounded".to_owned(), Bytes::from_static(b"value"))];
        stores.set(store, bounded, limits).await.unwrap();
    }
    // Again, and of one that never was: that leaves nothing either.
    for store in [gone, gone, StoreId::random()] {
        stores.purge(store).await.unwrap();
    }
    let admin = server.admin().await;
    for table in ["shoal_kv", "shoal_usage"] {
        let others = format!("SELECT count(*) FROM {table} WHERE store <> '{kept}'");
        let left: i64 = admin.query_one(&others, &[]).await.unwrap().get(0);
        assert_eq!(left, 0, "{table}");
    }
    assert_eq!(stores.usage(kept).await.unwrap().keys, 2);
    set(&stores, gone, "again", "value").await.unwrap();
    assert_eq!(stores.usage(gone).await.unwrap().keys, 1);
}

#[tokio::test]
async fn usage_counts_what_is_there() {
    let Some(server) = server("usage", &["fsync=off"]).await else {
        return;
    };
    let (stores, store, other) = (open(&server.url()), StoreId::random(), StoreId::random());
    assert_eq!(stores.usage(store).await, Ok(Usage::default()));
    let writers = join_all((0..8).map(async |writer: usize| {
        for n in 0..10 {
            let value = "v".repeat(n * 1000);
            set(&stores, store, &format!("{writer}-{n}"), &value)
                .await
                .unwrap();
            set(&stores, store, "shared", &value).await.unwrap();
            set(&stores, other, &format!("{writer}"), "other")
                .await
                .unwrap();
        }
    }));
    writers.await;
    let shared = "shared".len() as u64 + 9000;
    let bytes = 8 * (10 * 3 + 45_000) + shared;
    assert_eq!(stores.usage(store).await, Ok(Usage { keys: 81, bytes }));
    stores
        .delete(store, vec!["shared".to_owned(), "0-0".to_owned()])
        .await
        .unwrap();
    assert_eq!(
        stores.usage(store).await,
        Ok(Usage {
            keys: 79,
            bytes: bytes - shared - 3
        })
    );
}

/// Calls that nobody waits for any more neither pile up nor leave a connection unusable.
#[tokio::test]
async fn callers_that_go_away_harm_nobody() {
    let Some(server) = server("callers that go away", &["fsync=off"]).await else {
        return;
    };
    let mut options = options(&server.url());
    options.max_connections = 2;
    let (stores, store) = (Postgres::new(&options).unwrap(), StoreId::random());
    add(&stores, store, "sum").await.unwrap();
    for polls in 0..300 {
        let mut call = Box::pin(add(&stores, store, "sum"));
        for _ in 0..polls % 6 {
            if futures::poll!(call.as_mut()).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let before = add(&stores, store, "sum").await.unwrap();
    assert!(before >= 2);
    until_sessions(&server, "state <> 'idle'", 0).await;
    assert!(sessions(&server, "true").await <= 2);
}
