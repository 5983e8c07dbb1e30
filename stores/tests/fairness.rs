//! One Store that is used without pause does not hold up its neighbours.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod backend;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use backend::Backend;
use bytes::Bytes;
use shoal_stores::{StoreId, StoreLimits};
use tokio::runtime::Runtime;

/// Callers of the hot key, each with one call under way at a time.
const CALLERS: usize = 64;
/// Calls of the neighbour.
const CALLS: usize = 100;
/// So often each of the hot callers may have its turn while the neighbour waits for one of its calls, on
/// average: with turns taken by Store it is about once.
const TURNS: usize = 8;

on_every_backend!(a_hot_key_does_not_hold_up_its_neighbours);

fn a_hot_key_does_not_hold_up_its_neighbours(runtime: &Runtime, backend: &dyn Backend) {
    runtime.block_on(async {
        let (hot, calm) = (StoreId::random(), StoreId::random());
        let opened = backend.open(&[hot, calm]).await;
        let limits = StoreLimits::default();
        let (go_on, done) = (Arc::new(AtomicBool::new(true)), Arc::default());
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (stores, go_on) = (opened.of(hot), go_on.clone());
                let done: Arc<AtomicUsize> = Arc::clone(&done);
                tokio::spawn(async move {
                    while go_on.load(Ordering::Relaxed) {
                        let sum = stores.increment(hot, "hot".into(), 1, limits).await;
                        sum.unwrap();
                        done.fetch_add(1, Ordering::Relaxed);
                        // A call that is done at once is no reason to keep the thread.
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        while done.load(Ordering::Relaxed) < CALLERS {
            tokio::task::yield_now().await;
        }

        let stores = opened.of(calm);
        let neighbour = tokio::spawn(async move {
            for n in 0..CALLS {
                let pair = ("key".to_owned(), Bytes::from(n.to_string()));
                stores.set(calm, vec![pair], limits).await.unwrap();
                let value = stores.get(calm, vec!["key".into()]).await.unwrap();
                assert_eq!(value, [Some(Bytes::from(n.to_string()))]);
            }
        });
        let before = done.load(Ordering::Relaxed);
        neighbour.await.unwrap();
        let meanwhile = done.load(Ordering::Relaxed) - before;
        go_on.store(false, Ordering::Relaxed);
        for caller in callers {
            caller.await.unwrap();
        }
        let most = 2 * CALLS * CALLERS * TURNS;
        assert!(
            meanwhile <= most,
            "{meanwhile} calls of the hot key during {CALLS} writes and reads of its neighbour"
        );
        let sum = opened.of(hot).get(hot, vec!["hot".into()]).await.unwrap();
        let done = done.load(Ordering::Relaxed).to_string();
        assert_eq!(sum, [Some(Bytes::from(done))]);
    });
}
