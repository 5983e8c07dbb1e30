//! A server that is killed in the middle of writing loses nothing that was acknowledged.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::future::join_all;

use super::*;

const WRITERS: usize = 6;

/// How often something was added.
#[derive(Clone, Copy, Debug, Default)]
struct Added {
    surely: usize,
    perhaps: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_server_loses_no_acknowledged_write() {
    let Some(mut server) = server("a killed server", &["fsync=on"]).await else {
        return;
    };
    let (stores, store) = (open(&server.url()), StoreId::random());
    let mut sums = [Added::default(); WRITERS];
    for round in 0..3 {
        let (acknowledged, killed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let write = async |writer: usize| {
            let (mut keys, mut sum) = (Vec::new(), Added::default());
            // Until the server is gone; whatever it answers before that counts.
            for index in 0.. {
                let key = format!("{round}-{writer}-{index}");
                let is_set = set(&stores, store, &key, &key).await.is_ok();
                if is_set {
                    keys.push(key);
                }
                let is_added = add(&stores, store, &format!("sum-{writer}")).await.is_ok();
                if is_added {
                    sum.surely += 1;
                } else {
                    sum.perhaps += 1;
                }
                if is_set && is_added {
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                } else if killed.load(Ordering::Relaxed) {
                    break;
                }
            }
            (keys, sum)
        };
        let kill = async {
            until("enough is written", async || {
                acknowledged.load(Ordering::Relaxed) >= 150
            })
            .await;
            server.kill();
            killed.store(true, Ordering::Relaxed);
        };
        let (written, ()) = tokio::join!(join_all((0..WRITERS).map(write)), kill);
        server.start_again().await;
        // Calls find it again by themselves.
        until("it is found again", async || {
            get(&stores, store, "key").await.is_ok()
        })
        .await;
        counts::assert_exact(&*stores, store).await;
        for (writer, (keys, sum)) in written.into_iter().enumerate() {
            for some in keys.chunks(500) {
                let values = stores.get(store, some.to_vec()).await.unwrap();
                for (key, value) in some.iter().zip(values) {
                    assert_eq!(value.as_deref(), Some(key.as_bytes()), "{key} was lost");
                }
            }
            // What failed is in doubt: done, but not more than once.
            let added = &mut sums[writer];
            added.surely += sum.surely;
            added.perhaps += sum.perhaps;
            let sum = get(&stores, store, &format!("sum-{writer}"))
                .await
                .unwrap()
                .unwrap();
            let sum: usize = std::str::from_utf8(&sum).unwrap().parse().unwrap();
            assert!(
                (added.surely..=added.surely + added.perhaps).contains(&sum),
                "{sum} of {added:?}"
            );
        }
    }
}
