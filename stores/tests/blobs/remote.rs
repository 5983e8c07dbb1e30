//! What is gRPC's own: who may open what, and streams that stand still.

use futures::StreamExt;
use shoal_protocol::{CertificateAuthority, Role};
use shoal_stores::{
    BlobError, Blobs, RemoteBlobs, StoreId,
    blob::{ByteRange, Place},
};

use crate::{
    WIDE, filled, read,
    served::{Served, identity},
    write,
};

#[tokio::test]
async fn only_what_was_granted_can_be_opened_and_only_by_runtimes_of_this_cluster() {
    let (granted, other) = (StoreId::random(), StoreId::random());
    let served = Served::start(&[("pod-a", &[granted]), ("pod-b", &[other])]);
    let a = served.blobs("pod-a");
    write(&a, granted, "own", b"own").await.unwrap();
    write(&served.blobs("pod-b"), other, "name", b"content")
        .await
        .unwrap();

    let denied = Err(BlobError::AccessDenied);
    assert_eq!(write(&a, other, "name", b"x").await, denied);
    assert_eq!(read(&a, other, "name").await.map(drop), denied);
    assert_eq!(a.info(other, "name".into()).await.map(drop), denied);
    assert_eq!(a.list(other, None, 10).await.map(drop), denied);
    assert_eq!(a.delete(other, vec!["name".into()]).await, denied);
    assert_eq!(a.clear(other).await, denied);
    assert_eq!(a.usage(granted).await.map(drop), denied);
    let (mine, theirs) = (
        Place {
            store: granted,
            name: "own".into(),
        },
        Place {
            store: other,
            name: "name".into(),
        },
    );
    assert_eq!(a.copy(theirs.clone(), mine.clone(), WIDE).await, denied);
    assert_eq!(a.copy(mine, theirs, WIDE).await, denied);
    assert_eq!(
        read(&served.blobs("pod-b"), other, "name").await.unwrap(),
        b"content"
    );

    for role in [Role::Builder, Role::Operator] {
        let refused = read(&served.blobs_of(role, "pod-a"), granted, "own").await;
        assert!(refused.is_err(), "{role:?}");
    }
    let strangers = CertificateAuthority::generate().unwrap();
    let stranger = identity(&strangers, Role::Runtime, "pod-a");
    let stranger = RemoteBlobs::new(&served.target, &stranger).unwrap();
    for error in [
        read(&stranger, granted, "own").await.unwrap_err(),
        write(&stranger, granted, "own", b"x").await.unwrap_err(),
    ] {
        assert!(matches!(error, BlobError::Unavailable(_)), "{error:?}");
        assert!(!error.to_string().contains("127.0.0.1"), "{error}");
    }
}

#[tokio::test]
async fn objects_that_nobody_reads_on_hold_up_no_others() {
    let store = StoreId::random();
    let served = Served::start(&[("pod-a", &[store])]);
    let blobs = served.blobs("pod-a");
    blobs
        .write(store, "a".into(), filled(1, 2_000_000), WIDE)
        .await
        .unwrap();
    let mut still = Vec::new();
    for _ in 0..100 {
        let opened = blobs.read(store, "a".into(), ByteRange::ALL).await.unwrap();
        let mut content = opened.content;
        content.next().await.unwrap().unwrap();
        still.push(content);
    }
    assert_eq!(read(&blobs, store, "a").await.unwrap().len(), 2_000_000);
    write(&blobs, store, "b", b"b").await.unwrap();
    for mut content in still {
        let mut bytes = 0;
        while let Some(piece) = content.next().await {
            bytes += piece.unwrap().len();
        }
        assert!(bytes > 1_900_000, "{bytes}");
    }
}

#[tokio::test]
async fn a_store_that_is_not_there_is_an_error_that_names_no_host() {
    let ca = CertificateAuthority::generate().unwrap();
    let identity = identity(&ca, Role::Runtime, "pod-a");
    let blobs = RemoteBlobs::new("127.0.0.1:1", &identity).unwrap();
    let store = StoreId::random();
    for error in [
        write(&blobs, store, "a", b"x").await.unwrap_err(),
        read(&blobs, store, "a").await.unwrap_err(),
    ] {
        assert!(matches!(error, BlobError::Unavailable(_)), "{error:?}");
        assert!(!error.to_string().contains("127.0.0.1"), "{error}");
    }
}
