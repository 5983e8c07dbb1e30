//! Objects.

use std::path::Path;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use shoal_stores::{
    BlobError, Blobs, EmbeddedBlobs, Health, Reason, StoreId, StoreLimits,
    blob::{ByteRange, Place},
    embedded::Durability,
};

use crate::{again, disk, reason, take_writes_away};

const STORE: &str = "0b8f9d3e-7a44-4a5e-8c39-5d6c0ce3b1f2";
const OBJECTS: usize = 5;

fn open(folder: &Path) -> EmbeddedBlobs {
    EmbeddedBlobs::open(&folder.join("blobs"), Durability::Full).unwrap()
}

fn store() -> StoreId {
    STORE.parse().unwrap()
}

async fn write(blobs: &EmbeddedBlobs, number: usize) -> Result<(), BlobError> {
    let content = stream::iter([Ok(Bytes::from(vec![7; 100_000]))]).boxed();
    let limits = StoreLimits::default();
    (blobs.write(store(), number.to_string(), content, limits)).await
}

/// They are there as a whole, and no others.
async fn assert_there(blobs: &EmbeddedBlobs, objects: usize) {
    let names = blobs.list(store(), None, 100).await.unwrap().names;
    assert_eq!(
        names,
        (0..objects).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    for name in names {
        let opened = blobs.read(store(), name, ByteRange::ALL).await.unwrap();
        let content: Vec<Bytes> = opened.content.try_collect().await.unwrap();
        assert_eq!(content.concat(), vec![7; 100_000]);
    }
    let usage = blobs.usage(store()).await.unwrap();
    assert_eq!(usage.keys, objects as u64);
}

/// The first child: its disk becomes read-only. Another has objects on a disk that does not.
#[tokio::test]
async fn child_on_a_failing_disk() {
    let Some(disk) = disk() else { return };
    let blobs = open(&disk);
    let elsewhere = tempfile::tempdir().unwrap();
    let neighbour = open(elsewhere.path());
    for number in 0..OBJECTS {
        again(async || write(&blobs, number).await.is_ok()).await;
    }
    assert_eq!(blobs.health().await, Health::Reachable);

    take_writes_away();
    let place = |name: usize| Place {
        store: store(),
        name: name.to_string(),
    };
    let copied = blobs.copy(place(0), place(OBJECTS), StoreLimits::default());
    let deleted = blobs.delete(store(), vec!["0".to_owned()]);
    let refused = [
        write(&blobs, OBJECTS).await,
        write(&blobs, 0).await,
        copied.await,
        deleted.await,
    ];
    for refused in &refused {
        let Err(BlobError::Unavailable(why)) = refused else {
            panic!("{refused:?}")
        };
        assert!(why.starts_with("the disk "), "{why}");
    }
    assert_eq!(reason(&blobs.health().await), Some(Reason::ReadOnly));
    assert_there(&blobs, OBJECTS).await;
    write(&neighbour, 0).await.unwrap();
    assert_eq!(neighbour.health().await, Health::Reachable);
    println!("refused: {refused:?}");
}

/// The second child: somebody put the disk right.
#[tokio::test]
async fn child_on_a_disk_that_was_mended() {
    let Some(disk) = disk() else { return };
    let blobs = open(&disk);
    assert_there(&blobs, OBJECTS).await;
    again(async || write(&blobs, OBJECTS).await.is_ok()).await;
    assert_there(&blobs, OBJECTS + 1).await;
    assert_eq!(blobs.health().await, Health::Reachable);
    println!("mended");
}
