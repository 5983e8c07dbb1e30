//! A disk that is full fails writes with a plain reason, and nothing has to be restarted once it is not.

use std::{path::Path, process::Command};

use bytes::Bytes;
use shoal_stores::{
    Backend, BlobError, Blobs, Embedded, EmbeddedBlobs, Health, KeyValue, Reason, StoreId,
    embedded::{Durability, EmbeddedOptions},
};

use crate::{WIDE, filled, read};

const FOLDER: &str = "SHOAL_TEST_BLOBS_SMALL_DISK";

/// The child: runs where `FOLDER` is a file system of 64 MiB, which it may enlarge.
#[tokio::test]
async fn child_on_a_small_disk() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let blobs = EmbeddedBlobs::open(folder.as_ref(), Durability::Full).unwrap();
    let store = StoreId::random();
    let put = async |number: usize, bytes| {
        blobs
            .write(store, number.to_string(), filled(7, bytes), WIDE)
            .await
    };
    let mut written = 0;
    let error = loop {
        match put(written, 3_000_000).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100, "the disk never filled");
    };
    assert_eq!(error, BlobError::Unavailable("the disk is full".to_owned()));
    assert!(written > 5, "{written} objects fit");
    for number in 0..written {
        let content = read(&blobs, store, &number.to_string()).await.unwrap();
        assert_eq!(content.len(), 3_000_000, "an acknowledged object is gone");
    }
    assert_eq!(
        read(&blobs, store, &written.to_string()).await,
        Err(BlobError::NotFound)
    );
    // Objects do not take the last of it: there is room for keys.
    let options = EmbeddedOptions {
        shards: 1,
        ..EmbeddedOptions::default()
    };
    let keys = Embedded::open(&Path::new(&folder).join("keys"), options).unwrap();
    let pair = vec![("key".to_owned(), Bytes::from_static(b"value"))];
    keys.set(store, pair, WIDE).await.unwrap();
    assert_eq!(keys.health().await, Health::Reachable);
    let health = blobs.health().await;
    let is_full = matches!(&health, Health::Failing { reason, .. } if *reason == Reason::ReadOnly);
    assert!(is_full, "{health:?}");

    mount(&["-o", "remount,size=256m", &folder]);
    put(written, 3_000_000).await.unwrap();
    assert_eq!(blobs.health().await, Health::Reachable);
    println!("recovered after {written} objects");
}

fn mount(arguments: &[&str]) {
    let status = Command::new("mount").args(arguments).status().unwrap();
    assert!(status.success());
}

fn in_own_mounts(script: &str, folder: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-ec", script, "sh"])
        .arg(folder)
        .arg(std::env::current_exe().unwrap())
        .env(FOLDER, folder);
    command
}

#[test]
fn a_full_disk_fails_writes_plainly_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let can = in_own_mounts("mount -t tmpfs -o size=64m tmpfs \"$1\"", folder.path()).output();
    if !can.is_ok_and(|output| output.status.success()) {
        shoal_skip::skipped(
            "a_full_disk_fails_writes_plainly_and_recovers: no mount namespaces here",
        );
        return;
    }
    let script = "mount -t tmpfs -o size=64m tmpfs \"$1\"
                  exec \"$2\" --exact disk_full::child_on_a_small_disk --nocapture";
    let output = in_own_mounts(script, folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(
        text.contains("recovered"),
        "the child tested nothing: {text}"
    );
}
