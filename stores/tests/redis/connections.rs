//! How many connections there are, and what becomes of calls on those that break.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use bytes::Bytes;
use futures::future::join_all;
use shoal_stores::{KeyValue, KeyValueError, Redis, RedisOptions, StoreId};

use crate::{
    get, limits,
    redis_server::{RedisServer, until},
    set,
};

fn with_connections(server: &RedisServer, max_connections: usize) -> Arc<Redis> {
    let options = RedisOptions {
        max_connections,
        ..server.options()
    };
    Arc::new(Redis::new(&options).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_never_more_connections_than_allowed_and_few_if_few_are_needed() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = with_connections(&server, 3);
    let store = StoreId::random();
    for index in 0..50 {
        set(&stores, store, &index.to_string(), "v").await.unwrap();
    }
    assert_eq!(
        server.connections().await,
        1,
        "one call at a time needs one"
    );

    let go_on = Arc::new(AtomicBool::new(true));
    let callers: Vec<_> = (0..64)
        .map(|caller: usize| {
            let (stores, go_on) = (stores.clone(), go_on.clone());
            tokio::spawn(async move {
                while go_on.load(Ordering::Relaxed) {
                    set(&stores, store, &caller.to_string(), "v").await.unwrap();
                    stores.list_keys(store, None, 100).await.unwrap();
                }
            })
        })
        .collect();
    let mut most = 0;
    for _ in 0..50 {
        let open = server.connections().await;
        assert!(open <= 3, "{open} connections");
        most = most.max(open);
    }
    until("all are used", || async { server.connections().await == 3 }).await;
    go_on.store(false, Ordering::Relaxed);
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    drop(stores);
    until("all are closed", || async {
        server.connections().await == 0
    })
    .await;
    println!("at most {most} connections");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_stores_share_a_few_connections() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = with_connections(&server, 3);
    let ids: Vec<_> = (0..3000).map(|_| StoreId::random()).collect();
    for some in ids.chunks(300) {
        let calls = some.iter().map(|id| set(&stores, *id, "key", "value"));
        let results = join_all(calls).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert!(server.connections().await <= 3);
    }
    let last = ids.last().copied().unwrap();
    assert_eq!(get(&stores, last, "key").await.unwrap().unwrap(), "value");
}

#[tokio::test]
async fn a_connection_that_broke_while_nobody_used_it_fails_no_call() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = server.stores();
    let store = StoreId::random();
    for round in 1..=20 {
        let sum = stores.increment(store, "sum".into(), 1, limits()).await;
        assert_eq!(sum, Ok(round));
        server.admin(&["CLIENT", "KILL", "TYPE", "normal"]).await;
        until("it is closed", || async { server.connections().await == 0 }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_under_way_is_done_once_or_not_at_all() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = with_connections(&server, 4);
    let store = StoreId::random();
    let (done, unknown) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let go_on = Arc::new(AtomicBool::new(true));
    let callers: Vec<_> = (0..32)
        .map(|_| {
            let (stores, go_on) = (stores.clone(), go_on.clone());
            let (done, unknown) = (done.clone(), unknown.clone());
            tokio::spawn(async move {
                while go_on.load(Ordering::Relaxed) {
                    match stores.increment(store, "sum".into(), 1, limits()).await {
                        Ok(_) => done.fetch_add(1, Ordering::Relaxed),
                        Err(KeyValueError::Unavailable(_)) => {
                            unknown.fetch_add(1, Ordering::Relaxed)
                        }
                        Err(error) => panic!("{error}"),
                    };
                    // Reads are repeated, and so never fail.
                    get(&stores, store, "sum").await.unwrap();
                }
            })
        })
        .collect();
    for round in 1..=20 {
        until("work goes on", || async {
            done.load(Ordering::Relaxed) > round * 50
        })
        .await;
        server.admin(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    }
    go_on.store(false, Ordering::Relaxed);
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    let sum = stores
        .increment(store, "sum".into(), 0, limits())
        .await
        .unwrap();
    let (done, unknown) = (
        done.load(Ordering::Relaxed),
        unknown.load(Ordering::Relaxed),
    );
    println!("{done} acknowledged, {unknown} unknown, {sum} done");
    assert!(
        (done..=done + unknown).contains(&sum),
        "{done} <= {sum} <= {done} + {unknown}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_calls_pass_while_large_ones_are_under_way() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = with_connections(&server, 4);
    let (hot, calm) = (StoreId::random(), StoreId::random());
    let large = Bytes::from(vec![7; 1024 * 1024]);
    let keys: Vec<String> = (0..8).map(|index| index.to_string()).collect();
    for key in &keys {
        let pairs = vec![(key.clone(), large.clone())];
        stores.set(hot, pairs, limits()).await.unwrap();
    }
    let go_on = Arc::new(AtomicBool::new(true));
    let reads = Arc::new(AtomicI64::new(0));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (stores, go_on, keys) = (stores.clone(), go_on.clone(), keys.clone());
            let reads = reads.clone();
            tokio::spawn(async move {
                while go_on.load(Ordering::Relaxed) {
                    stores.get(hot, keys.clone()).await.unwrap();
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    until("large ones are under way", || async {
        reads.load(Ordering::Relaxed) > 4
    })
    .await;
    for index in 0..200 {
        let text = index.to_string();
        set(&stores, calm, "key", &text).await.unwrap();
        assert_eq!(get(&stores, calm, "key").await.unwrap().unwrap(), text);
    }
    go_on.store(false, Ordering::Relaxed);
    for reader in join_all(readers).await {
        reader.unwrap();
    }
}
