//! A server that is killed in the middle of writing loses nothing that was acknowledged.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;

use super::*;

const WRITERS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_server_loses_no_acknowledged_write() {
    let Some(mut server) = server("a killed server", &["fsync=on"]).await else {
        return;
    };
    let (stores, store) = (open(&server.url()), StoreId::random());
    let mut sums = [(0, 0); WRITERS];
    for round in 0..3 {
        let acknowledged = AtomicUsize::new(0);
        let write = async |writer: usize| {
            let mut keys = Vec::new();
            // Until the server is gone; whatever it answers before that counts.
            for index in 0.. {
                let key = format!("{round}-{writer}-{index}");
                let result = set(&stores, store, &key, &key).await;
                if result.is_err() || add(&stores, store, &format!("sum-{writer}")).await.is_err() {
                    if result.is_ok() {
                        keys.push(key);
                    }
                    break;
                }
                keys.push(key);
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            keys
        };
        let kill = async {
            while acknowledged.load(Ordering::Relaxed) < 150 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            server.kill();
        };
        let (written, ()) = tokio::join!(join_all((0..WRITERS).map(write)), kill);
        server.start_again().await;
        // Calls find it again by themselves.
        while get(&stores, store, "key").await.is_err() {}
        counts::assert_exact(&*stores, store).await;
        for (writer, keys) in written.into_iter().enumerate() {
            for some in keys.chunks(500) {
                let values = stores.get(store, some.to_vec()).await.unwrap();
                for (key, value) in some.iter().zip(values) {
                    assert_eq!(value.as_deref(), Some(key.as_bytes()), "{key} was lost");
                }
            }
            // Of each writer at most the last call of a round is in doubt: done, but not more than once.
            let (least, most) = &mut sums[writer];
            *least += keys.len().saturating_sub(1);
            *most += keys.len();
            let sum = get(&stores, store, &format!("sum-{writer}"))
                .await
                .unwrap()
                .unwrap();
            let sum: usize = std::str::from_utf8(&sum).unwrap().parse().unwrap();
            assert!(
                (*least..=*most).contains(&sum),
                "{sum} of {least} to {most}"
            );
        }
    }
}
