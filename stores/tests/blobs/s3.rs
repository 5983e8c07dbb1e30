//! What is a bucket's own: prefixes, credentials, outages, and what is left behind.

use bytes::Bytes;
use shoal_stores::{
    BlobError, Blobs, Health, Reason, StoreId, StoreLimits, blob::s3::InvalidS3Options,
};

use crate::{
    WIDE, filled, names, pieces, read,
    s3_server::{S3Server, until_health},
    write,
};

fn failing(health: &Health) -> Option<Reason> {
    match health {
        Health::Reachable => None,
        Health::Failing { reason, .. } => Some(*reason),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clusters_share_a_bucket_under_two_prefixes() {
    let Some(server) = S3Server::start().await else {
        return;
    };
    let store = StoreId::random();
    let (one, two) = (server.open("one"), server.open("one-more"));
    write(&one, store, "a", b"of one").await.unwrap();
    assert_eq!(read(&two, store, "a").await, Err(BlobError::NotFound));
    assert_eq!(names(&two, store, 10).await, [""; 0]);
    two.clear(store).await.unwrap();
    assert_eq!(read(&one, store, "a").await.unwrap(), b"of one");
    let moved = one.reconfigure(&server.options("one-more"));
    assert_eq!(moved, Err(InvalidS3Options::PlaceChanged));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_begun_and_not_finished_leaves_nothing_behind() {
    let Some(server) = S3Server::start().await else {
        return;
    };
    let (blobs, store) = (server.open("shoal"), StoreId::random());
    let piece = Bytes::from(vec![1; 60_000]);
    let mut cut: Vec<_> = (0..200).map(|_| Ok(piece.clone())).collect();
    cut.push(Err(BlobError::Incomplete("cut".into())));
    let failed = blobs.write(store, "a".into(), pieces(cut), WIDE).await;
    assert!(failed.is_err());
    // Its parts are forgotten by the server as well, a moment later.
    for _ in 0..9000 {
        if server.files().is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("left behind: {:?}", server.files());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_fails_calls_plainly_and_ends_by_itself() {
    let Some(mut server) = S3Server::start().await else {
        return;
    };
    let (blobs, store) = (server.open("shoal"), StoreId::random());
    write(&blobs, store, "a", b"kept").await.unwrap();
    server.kill();
    let errors = [
        read(&blobs, store, "a").await.unwrap_err(),
        write(&blobs, store, "b", b"x").await.unwrap_err(),
        blobs.list(store, None, 10).await.unwrap_err(),
        blobs.delete(store, vec!["a".into()]).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, BlobError::Unavailable(_)), "{error:?}");
        let told = error.to_string();
        assert!(
            !told.contains("127.0.0.1") && !told.contains("apps"),
            "{told}"
        );
    }
    let health = blobs.health().await;
    assert_eq!(failing(&health), Some(Reason::Unreachable));
    server.start_again().await;
    until_health(&blobs, |health| *health == Health::Reachable).await;
    assert_eq!(read(&blobs, store, "a").await.unwrap(), b"kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_credentials_are_used_from_the_next_call_on() {
    let Some(mut server) = S3Server::start().await else {
        return;
    };
    let (blobs, store) = (server.open("shoal"), StoreId::random());
    write(&blobs, store, "a", b"kept").await.unwrap();
    server.kill();
    server.change_secret();
    server.start_again().await;
    let health = until_health(&blobs, |health| {
        failing(health) != Some(Reason::Unreachable)
    })
    .await;
    assert_eq!(failing(&health), Some(Reason::CredentialsRefused));
    let refused = read(&blobs, store, "a").await.unwrap_err().to_string();
    assert!(
        refused.contains("credentials") && !refused.contains("owner"),
        "{refused}"
    );
    blobs.reconfigure(&server.options("shoal")).unwrap();
    assert_eq!(read(&blobs, store, "a").await.unwrap(), b"kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_missing_is_said_to_be() {
    let Some(server) = S3Server::start().await else {
        return;
    };
    let mut options = server.options("shoal");
    options.bucket = "another".to_owned();
    let blobs = shoal_stores::S3::new(&options).unwrap();
    let health = blobs.health().await;
    assert_eq!(
        failing(&health),
        Some(Reason::InvalidConfiguration),
        "{health:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_server_that_an_authority_vouches_for_is_spoken_to() {
    let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (signed.cert.pem(), signed.signing_key.serialize_pem());
    let Some(server) = S3Server::with_tls(certificate.clone(), key).await else {
        return;
    };
    let store = StoreId::random();
    let mut options = server.options("shoal");
    let stranger = shoal_stores::S3::new(&options).unwrap();
    assert_eq!(failing(&stranger.health().await), Some(Reason::TlsFailed));
    assert!(write(&stranger, store, "a", b"x").await.is_err());
    options.ca_pem = Some(certificate.into_bytes());
    let blobs = shoal_stores::S3::new(&options).unwrap();
    write(&blobs, store, "a", b"over TLS").await.unwrap();
    assert_eq!(read(&blobs, store, "a").await.unwrap(), b"over TLS");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_that_another_process_made_is_found() {
    let Some(server) = S3Server::start().await else {
        return;
    };
    let (one, other, store) = (
        server.open("shoal"),
        server.open("shoal"),
        StoreId::random(),
    );
    let limits = StoreLimits {
        keys: Some(1),
        ..WIDE
    };
    one.write(store, "a".into(), filled(1, 5), limits)
        .await
        .unwrap();
    let full = other.write(store, "b".into(), filled(1, 5), limits).await;
    assert!(matches!(full, Err(BlobError::LimitExceeded(_))), "{full:?}");
    other.delete(store, vec!["a".into()]).await.unwrap();
    other
        .write(store, "b".into(), filled(1, 5), limits)
        .await
        .unwrap();
}
