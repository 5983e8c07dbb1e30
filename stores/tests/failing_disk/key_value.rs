//! Keys and values.

use bytes::Bytes;
use shoal_stores::{
    Backend, Embedded, Health, KeyValue, KeyValueError, StoreId, StoreLimits,
    embedded::EmbeddedOptions,
};

use crate::{again, disk, run, take_writes_away};

const STORE: &str = "0b8f9d3e-7a44-4a5e-8c39-5d6c0ce3b1f2";

async fn set(stores: &Embedded, key: usize) -> Result<(), KeyValueError> {
    let pair = (key.to_string(), Bytes::from_static(b"value"));
    let store = STORE.parse().unwrap();
    stores.set(store, vec![pair], StoreLimits::default()).await
}

async fn assert_there(stores: &Embedded, keys: usize) {
    let store: StoreId = STORE.parse().unwrap();
    let keys = (0..keys).map(|key| key.to_string()).collect();
    let values = stores.get(store, keys).await.unwrap();
    assert!(values.iter().all(Option::is_some), "{values:?}");
}

fn open() -> Option<Embedded> {
    let folder = disk()?;
    let options = EmbeddedOptions {
        shards: 1,
        ..EmbeddedOptions::default()
    };
    Some(Embedded::open(&folder, options).unwrap())
}

/// The disk takes no writes for as long as this is there.
struct Frozen(String);

impl Frozen {
    fn new() -> Self {
        let disk = disk().unwrap().to_str().unwrap().to_owned();
        run(&["fsfreeze", "--freeze", &disk]);
        Self(disk)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        run(&["fsfreeze", "--unfreeze", &self.0]);
    }
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

    take_writes_away();
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
