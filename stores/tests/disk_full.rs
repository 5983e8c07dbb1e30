//! A disk that is full fails writes with a plain reason, and nothing has to be restarted once it is not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use bytes::Bytes;
use shoal_mounts::{Apart, enlarge};
use shoal_stores::{
    Backend, Embedded, Health, KeyValue, KeyValueError, Reason, StoreId, StoreLimits,
    embedded::EmbeddedOptions,
};

const FOLDER: &str = "SHOAL_TEST_SMALL_DISK";

/// Why the class does not serve; `None`: it does.
async fn reason(stores: &Embedded) -> Option<Reason> {
    match stores.health().await {
        Health::Reachable => None,
        Health::Failing { reason, .. } => Some(reason),
    }
}

/// The child: runs where `FOLDER` is a file system of 4 MiB, which it may enlarge.
#[tokio::test]
async fn child_on_a_small_disk() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let options = EmbeddedOptions {
        shards: 1,
        ..EmbeddedOptions::default()
    };
    let stores = Embedded::open(folder.as_ref(), options).unwrap();
    let store = StoreId::random();
    let limits = StoreLimits::default();
    let pair = |key: usize| vec![(key.to_string(), Bytes::from(vec![7; 100_000]))];

    assert_eq!(reason(&stores).await, None);
    let full = KeyValueError::Unavailable("the disk is full".to_owned());
    let (mut written, mut refused) = (0, 0);
    // What is in a log may find room in the file once more. What a probe writes fits for long.
    while reason(&stores).await.is_none() {
        match stores.set(store, pair(written), limits).await {
            Ok(()) => written += 1,
            Err(error) => {
                assert_eq!(error, full);
                refused += 1;
            }
        }
        assert!(written < 100, "the disk never filled");
        assert!(refused < 10, "the class is well though it is full");
    }
    assert!(written > 5, "{written} values fit");
    assert_eq!(reason(&stores).await, Some(Reason::ReadOnly));
    let refused = stores.set(store, pair(written), limits).await;
    assert_eq!(refused, Err(full));
    let keys: Vec<_> = (0..=written).map(|key| key.to_string()).collect();
    let values = stores.get(store, keys.clone()).await.unwrap();
    assert!(
        values[..written].iter().all(Option::is_some),
        "an acknowledged value is gone"
    );
    assert!(values[written].is_none());

    enlarge(&folder, "64m");
    stores.set(store, pair(written), limits).await.unwrap();
    assert_eq!(reason(&stores).await, None);
    assert!(
        stores
            .get(store, keys)
            .await
            .unwrap()
            .iter()
            .all(Option::is_some)
    );

    println!("recovered after {written} values");
}

#[test]
fn a_full_disk_fails_writes_plainly_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let apart = Apart {
        test: "child_on_a_small_disk",
        mount: "mount -t tmpfs -o size=4m tmpfs \"$1\"",
        place: folder.path(),
        environment: &[(FOLDER, folder.path())],
        as_root: false,
        word: "recovered",
    };
    apart.run("keys and values on a full disk");
}
