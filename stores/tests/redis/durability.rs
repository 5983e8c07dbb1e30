//! A server that is killed in the middle of writing, and syncs, loses nothing that it acknowledged.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::future::join_all;
use shoal_stores::{KeyValue, Redis, StoreId};

use crate::{
    counts::assert_exact,
    limits,
    redis_server::{RedisServer, until},
    set,
};

const WRITERS: usize = 8;

/// Writes until the server fails; gives how many keys and increments were acknowledged.
async fn write(stores: &Redis, store: StoreId, writer: usize, done: &AtomicUsize) -> (usize, i64) {
    let mut sums = 0;
    for index in 0.. {
        if set(stores, store, &format!("{writer}-{index}"), "value")
            .await
            .is_err()
        {
            return (index, sums);
        }
        done.fetch_add(1, Ordering::Relaxed);
        match stores
            .increment(store, format!("sum-{writer}"), 1, limits())
            .await
        {
            Ok(sum) => {
                sums += 1;
                assert_eq!(sum, sums);
            }
            Err(_) => return (index + 1, sums),
        }
    }
    unreachable!("the server was never killed")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_server_loses_no_acknowledged_write() {
    let arguments = ["--appendonly", "yes", "--appendfsync", "always"];
    let Some(mut server) = RedisServer::start(&arguments).await else {
        return;
    };
    let mut written = 0;
    for round in 1..=3 {
        let stores = Arc::new(server.stores());
        let store = StoreId::random();
        let done = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (stores, done) = (stores.clone(), done.clone());
                tokio::spawn(async move { write(&stores, store, writer, &done).await })
            })
            .collect();
        until("enough is written", || async {
            done.load(Ordering::Relaxed) >= 300 * round
        })
        .await;
        server.kill();
        let acknowledged = join_all(writers).await;
        server.start_again().await;

        for (writer, counts) in acknowledged.into_iter().enumerate() {
            let (keys, sums) = counts.unwrap();
            written += keys;
            for start in (0..keys).step_by(1000) {
                let some: Vec<_> = (start..keys.min(start + 1000))
                    .map(|index| format!("{writer}-{index}"))
                    .collect();
                let values = stores.get(store, some).await.unwrap();
                assert!(values.iter().all(Option::is_some), "a key was lost");
            }
            let sum = stores
                .increment(store, format!("sum-{writer}"), 0, limits())
                .await;
            let sum = sum.unwrap();
            // The one that was not acknowledged may have been done, and not twice.
            assert!(sum == sums || sum == sums + 1, "{sum} of {sums}");
        }
        assert_exact(&*stores, store).await;
    }
    println!("{written} acknowledged writes, none lost");
}
