//! A server that is killed in the middle of writing, and syncs, loses nothing that it acknowledged.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
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

/// What the writers of a round know of each other and of the server.
#[derive(Default)]
struct Round {
    done: AtomicUsize,
    killed: AtomicBool,
}

/// What became of a writer's calls.
#[derive(Default)]
struct Written {
    keys: Vec<String>,
    /// Increments that were acknowledged, and those of which nobody knows.
    sums: i64,
    unknown: i64,
}

/// Writes until the server is killed; what failed before took too long.
async fn write(stores: &Redis, store: StoreId, writer: usize, round: &Round) -> Written {
    let mut written = Written::default();
    for index in 0.. {
        let key = format!("{writer}-{index}");
        if set(stores, store, &key, "value").await.is_ok() {
            written.keys.push(key);
            round.done.fetch_add(1, Ordering::Relaxed);
        }
        match stores
            .increment(store, format!("sum-{writer}"), 1, limits())
            .await
        {
            Ok(sum) => {
                written.sums += 1;
                let most = written.sums + written.unknown;
                assert!((written.sums..=most).contains(&sum), "{sum}");
            }
            Err(_) => written.unknown += 1,
        }
        if round.killed.load(Ordering::Relaxed) {
            break;
        }
    }
    written
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
        let of_round = Arc::new(Round::default());
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (stores, of_round) = (stores.clone(), of_round.clone());
                tokio::spawn(async move { write(&stores, store, writer, &of_round).await })
            })
            .collect();
        until("enough is written", || async {
            of_round.done.load(Ordering::Relaxed) >= 300 * round
        })
        .await;
        server.kill();
        of_round.killed.store(true, Ordering::Relaxed);
        let acknowledged = join_all(writers).await;
        server.start_again().await;

        for (writer, of_writer) in acknowledged.into_iter().enumerate() {
            let Written {
                keys,
                sums,
                unknown,
            } = of_writer.unwrap();
            written += keys.len();
            for some in keys.chunks(1000) {
                let values = stores.get(store, some.to_vec()).await.unwrap();
                assert!(values.iter().all(Option::is_some), "a key was lost");
            }
            let sum = stores
                .increment(store, format!("sum-{writer}"), 0, limits())
                .await;
            let sum = sum.unwrap();
            // What was not acknowledged may have been done, and not twice.
            assert!((sums..=sums + unknown).contains(&sum), "{sum} of {sums}");
        }
        assert_exact(&*stores, store).await;
    }
    println!("{written} acknowledged writes, none lost");
}
