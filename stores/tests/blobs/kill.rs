//! A process that is killed while it writes loses nothing that it acknowledged, and keeps nothing that it
//! did not finish.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use shoal_stores::{Blobs, EmbeddedBlobs, StoreId, Usage, embedded::Durability};

use crate::{WIDE, filled, names, read};

const FOLDER: &str = "SHOAL_TEST_BLOBS_KILL_FOLDER";
const STORE: &str = "6a0c8f9e-3b1d-4d54-9c56-0d6f1b1a2c3d";
/// Names that are written again and again, each by one writer.
const NAMES: usize = 8;

/// Bytes of a version of an object, and what they are.
fn version(number: usize) -> (u8, usize) {
    (
        u8::try_from(number % 251).unwrap(),
        1000 + number * 37 % 150_000,
    )
}

/// The child: writes without end; says each write once it is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_writes_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let blobs = EmbeddedBlobs::open(folder.as_ref(), Durability::Full).unwrap();
    let store: StoreId = STORE.parse().unwrap();
    let writer = async |name: usize| {
        for number in 0..1_000_000 {
            let (byte, bytes) = version(number);
            blobs
                .write(store, name.to_string(), filled(byte, bytes), WIDE)
                .await
                .unwrap();
            std::io::stdout()
                .lock()
                .write_all(format!("acknowledged {name} {number}\n").as_bytes())
                .unwrap();
        }
    };
    futures::future::join_all((0..NAMES).map(writer)).await;
}

/// Kills a child after so many writes; which version of each name was acknowledged last.
fn killed_after(writes: usize, folder: &Path) -> BTreeMap<usize, usize> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "kill::child_that_writes_until_it_is_killed",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = BTreeMap::new();
    let mut count = 0;
    let mut next = |acknowledged: &mut BTreeMap<usize, usize>| {
        let line = lines.next()?.ok()?;
        // The first line may follow the test harness's own words.
        if let Some((_, rest)) = line.split_once("acknowledged ") {
            let (name, number) = rest.split_once(' ').unwrap();
            acknowledged.insert(name.parse().unwrap(), number.parse().unwrap());
        }
        Some(())
    };
    while count < writes {
        next(&mut acknowledged).expect("the child ended by itself");
        count += 1;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    while next(&mut acknowledged).is_some() {}
    acknowledged
}

#[tokio::test]
async fn killing_the_process_loses_no_acknowledged_object_and_counts_stay_right() {
    let folder = tempfile::tempdir().unwrap();
    let store: StoreId = STORE.parse().unwrap();
    for round in 1..=4 {
        let acknowledged = killed_after(100 * round, folder.path());
        let blobs = EmbeddedBlobs::open(folder.path(), Durability::Full).unwrap();
        for (name, last) in &acknowledged {
            let content = read(&blobs, store, &name.to_string()).await.unwrap();
            // The next one may have been made, though nobody heard of it.
            let is = |number| {
                let (byte, bytes) = version(number);
                content.len() == bytes && content.iter().all(|one| *one == byte)
            };
            assert!(is(*last) || is(last + 1), "{name}: {last} is gone");
        }
        let mut expected = Usage::default();
        for name in names(&blobs, store, 100).await {
            let content = read(&blobs, store, &name).await.unwrap();
            expected.keys += 1;
            expected.bytes += (name.len() + content.len()) as u64;
        }
        assert_eq!(blobs.usage(store).await.unwrap(), expected);
    }
}
