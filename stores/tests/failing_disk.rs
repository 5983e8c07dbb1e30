//! A disk that hangs, and one that has become read-only: writes fail with a plain reason, a disk that can
//! be read is read, and nothing that was acknowledged is gone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    process::{Command, Output},
    time::{Duration, Instant},
};

use bytes::Bytes;
use shoal_stores::{
    Backend, Embedded, Health, KeyValue, KeyValueError, StoreId, StoreLimits,
    embedded::EmbeddedOptions,
};

/// Where the children find a disk of their own.
const DISK: &str = "SHOAL_TEST_FAILING_DISK";
const STORE: &str = "0b8f9d3e-7a44-4a5e-8c39-5d6c0ce3b1f2";

async fn set(stores: &Embedded, key: usize) -> Result<(), KeyValueError> {
    let pair = (key.to_string(), Bytes::from_static(b"value"));
    let store = STORE.parse().unwrap();
    stores.set(store, vec![pair], StoreLimits::default()).await
}

/// Asks until it is so: the disk below that in the file may stand still too.
async fn again(mut is_so: impl AsyncFnMut() -> bool) {
    let given_up = Instant::now() + Duration::from_secs(180);
    while !is_so().await {
        assert!(Instant::now() < given_up, "the disk does not recover");
    }
}

async fn assert_there(stores: &Embedded, keys: usize) {
    let store: StoreId = STORE.parse().unwrap();
    let keys = (0..keys).map(|key| key.to_string()).collect();
    let values = stores.get(store, keys).await.unwrap();
    assert!(values.iter().all(Option::is_some), "{values:?}");
}

fn open() -> Option<Embedded> {
    let folder = std::env::var(DISK).ok()?;
    let options = EmbeddedOptions {
        shards: 1,
        ..EmbeddedOptions::default()
    };
    Some(Embedded::open(folder.as_ref(), options).unwrap())
}

/// The disk takes no writes for as long as this is there.
struct Frozen(String);

impl Frozen {
    fn new() -> Self {
        let disk = std::env::var(DISK).unwrap();
        run(&["fsfreeze", "--freeze", &disk]);
        Self(disk)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        run(&["fsfreeze", "--unfreeze", &self.0]);
    }
}

fn run(command: &[&str]) {
    let status = Command::new(command[0]).args(&command[1..]).status();
    assert!(status.unwrap().success(), "{command:?}");
}

/// The first child: its disk hangs for a while, and then is read-only.
#[tokio::test]
async fn child_on_a_failing_disk() {
    let Some(stores) = open() else { return };
    for key in 0..10 {
        again(async || set(&stores, key).await.is_ok()).await;
    }
    let frozen = Frozen::new();
    assert_eq!(
        set(&stores, 10).await,
        Err(KeyValueError::Unavailable("it took longer than 5 s".into()))
    );
    assert_ne!(stores.health().await, Health::Reachable);
    drop(frozen);
    again(async || set(&stores, 10).await.is_ok()).await;
    again(async || stores.health().await == Health::Reachable).await;
    assert_there(&stores, 11).await;

    run(&[
        "mount",
        "-o",
        "remount,abort",
        &std::env::var(DISK).unwrap(),
    ]);
    let error = set(&stores, 11).await.unwrap_err();
    let KeyValueError::Unavailable(reason) = &error else {
        panic!("{error:?}")
    };
    assert!(reason.starts_with("the disk "), "{reason}");
    assert_ne!(stores.health().await, Health::Reachable);
    assert_there(&stores, 11).await;
    println!("refused: {reason}");
}

/// The second child: somebody put the disk right.
#[tokio::test]
async fn child_on_a_disk_that_was_mended() {
    let Some(stores) = open() else { return };
    assert_there(&stores, 11).await;
    again(async || set(&stores, 11).await.is_ok()).await;
    assert_eq!(stores.health().await, Health::Reachable);
    println!("mended");
}

fn in_own_mounts(script: &str) -> std::io::Result<Output> {
    let folder = tempfile::tempdir().unwrap();
    Command::new("unshare")
        .args(["--mount", "sh", "-ec", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .env(DISK, folder.path().join("disk"))
        .current_dir(folder.path())
        .output()
}

const MADE: &str =
    "truncate -s 16M image; mkfs.ext4 -q image; mkdir disk; mount -o loop image disk";

#[test]
fn a_failing_disk_fails_writes_plainly_and_loses_nothing() {
    if !in_own_mounts(MADE).is_ok_and(|output| output.status.success()) {
        shoal_skip::skipped("a failing disk: no disk in a file can be mounted here");
        return;
    }
    // However the child ends, the disk thaws.
    let script = format!(
        "{MADE}; trap 'fsfreeze --unfreeze disk 2>&- || true' EXIT
         \"$1\" --exact child_on_a_failing_disk --nocapture
         umount disk; mount -o loop image disk
         \"$1\" --exact child_on_a_disk_that_was_mended --nocapture"
    );
    let output = in_own_mounts(&script).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(
        text.contains("refused: ") && text.contains("mended"),
        "the children tested nothing: {text}"
    );
}
