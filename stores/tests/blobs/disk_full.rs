//! A disk that is full fails writes with a plain reason, and nothing has to be restarted once it is not.

use std::path::Path;

use bytes::Bytes;
use shoal_mounts::{Apart, enlarge};
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

    enlarge(&folder, "256m");
    put(written, 3_000_000).await.unwrap();
    assert_eq!(blobs.health().await, Health::Reachable);
    println!("recovered after {written} objects");
}

#[test]
fn a_full_disk_fails_writes_plainly_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let apart = Apart {
        test: "disk_full::child_on_a_small_disk",
        mount: "mount -t tmpfs -o size=64m tmpfs \"$1\"",
        place: folder.path(),
        environment: &[(FOLDER, folder.path())],
        as_root: false,
        word: "recovered",
    };
    apart.run("objects on a full disk");
}
