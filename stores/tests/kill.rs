//! A process that is killed in the middle of writing loses nothing that it acknowledged.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod counts;

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use bytes::Bytes;
use shoal_stores::{Embedded, KeyValue, StoreId, StoreLimits, embedded::EmbeddedOptions};

const FOLDER: &str = "SHOAL_TEST_KILL_FOLDER";
const STORE: &str = "6a0c8f9e-3b1d-4d54-9c56-0d6f1b1a2c3d";
const WRITERS: usize = 8;

/// The child: writes without end, and says each key once it is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_writes_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let stores = Embedded::open(folder.as_ref(), EmbeddedOptions::default()).unwrap();
    let store: StoreId = STORE.parse().unwrap();
    let write = async |writer: usize| {
        for index in 0..1_000_000 {
            let key = format!("{writer}-{index}");
            let pair = (key.clone(), Bytes::from(key.clone()));
            stores
                .set(store, vec![pair], StoreLimits::default())
                .await
                .unwrap();
            let sum = stores
                .increment(store, format!("sum-{writer}"), 1, StoreLimits::default())
                .await
                .unwrap();
            assert_eq!(sum, index + 1);
            // Some go again: what is counted goes up and down.
            if index % 3 == 0 {
                let gone = vec![format!("temporary-{writer}")];
                stores
                    .compare_and_swap(
                        store,
                        gone[0].clone(),
                        None,
                        Bytes::from_static(b"value"),
                        StoreLimits::default(),
                    )
                    .await
                    .unwrap();
                stores.delete(store, gone).await.unwrap();
            }
            // One call per line, so that a line is whole or absent.
            std::io::stdout()
                .lock()
                .write_all(format!("acknowledged {key}\n").as_bytes())
                .unwrap();
        }
    };
    futures::future::join_all((0..WRITERS).map(write)).await;
}

#[tokio::test]
async fn killing_the_process_loses_no_acknowledged_write() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "child_that_writes_until_it_is_killed",
                "--nocapture",
            ])
            .env(FOLDER, folder.path().join(round.to_string()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        acknowledged.clear();
        let mut read = |acknowledged: &mut Vec<String>| {
            let line = lines.next()?.ok()?;
            // The first line may follow the test harness's own words.
            if let Some((_, key)) = line.split_once("acknowledged ") {
                acknowledged.push(key.to_owned());
            }
            Some(())
        };
        while acknowledged.len() < 400 * round {
            read(&mut acknowledged).expect("the child ended by itself");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        while read(&mut acknowledged).is_some() {}

        let stores = Embedded::open(
            &folder.path().join(round.to_string()),
            EmbeddedOptions::default(),
        )
        .unwrap();
        let store: StoreId = STORE.parse().unwrap();
        for keys in acknowledged.chunks(1000) {
            let values = stores.get(store, keys.to_vec()).await.unwrap();
            for (key, value) in keys.iter().zip(values) {
                assert_eq!(value.as_deref(), Some(key.as_bytes()), "{key} was lost");
            }
        }
        counts::assert_exact(&stores, store).await;
        for writer in 0..WRITERS {
            let prefix = format!("{writer}-");
            let count = acknowledged
                .iter()
                .filter(|key| key.starts_with(&prefix))
                .count() as i64;
            let sum = stores
                .increment(store, format!("sum-{writer}"), 0, StoreLimits::default())
                .await
                .unwrap();
            assert!(
                sum >= count,
                "sum {sum} of writer {writer}, {count} were acknowledged"
            );
        }
    }
}
