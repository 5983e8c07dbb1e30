//! An S3 server that is slow, full, elsewhere, cut off or closed to us: plain errors, a reason, and all is well by
//! itself once the server is.

use bytes::Bytes;
use futures::{FutureExt, SinkExt, StreamExt, channel::mpsc, future::join_all};
use shoal_mounts::{Apart, enlarge};
use shoal_stores::{BlobError, Blobs, Health, Reason, S3, StoreId, blob::ByteRange};

use crate::{
    WIDE, filled,
    proxy::Proxy,
    read,
    s3_server::{S3Server, until_health},
    write,
};

/// Larger than what is put at once.
const LARGE: usize = 12_000_000;

fn assert_plain(server: &S3Server, text: &str) {
    let port = server.port.to_string();
    for secret in ["127.0.0.1", "apps", "owner", "tenant", "s3cr3t", &port] {
        assert!(!text.contains(secret), "{text}");
    }
}

/// The reason of an unavailable store, which names nothing of `server`.
fn unavailable<T>(server: &S3Server, result: Result<T, BlobError>) -> String {
    match result.map(drop) {
        Err(BlobError::Unavailable(why)) => {
            assert_plain(server, &why);
            why
        }
        other => panic!("{other:?}"),
    }
}

/// Waits until the class fails for a reason, told in words that name nothing of `server`.
async fn until_failing(server: &S3Server, blobs: &S3, wanted: Reason) {
    let is =
        |health: &Health| matches!(health, Health::Failing { reason, .. } if *reason == wanted);
    if let Health::Failing { message, .. } = until_health(blobs, is).await {
        assert_plain(server, &message);
    }
}

async fn until_well(blobs: &S3) {
    until_health(blobs, |health| *health == Health::Reachable).await;
}

async fn through(server: &S3Server) -> (Proxy, S3) {
    let proxy = Proxy::to(server.address()).await;
    let mut options = server.options("shoal");
    options.endpoint = Some(format!("http://{}", proxy.address));
    (proxy, S3::new(&options).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_silent_fails_calls_by_their_deadline() {
    let Some(server) = S3Server::start().await else {
        return;
    };
    let (proxy, blobs) = through(&server).await;
    let store = StoreId::random();
    write(&blobs, store, "a", b"kept").await.unwrap();
    proxy.hold();
    let late = "it did not answer in time";
    let (content, info, list, delete, written, health) = tokio::join!(
        read(&blobs, store, "a"),
        blobs.info(store, "a".into()),
        blobs.list(store, None, 10),
        blobs.delete(store, vec!["b".into()]),
        write(&blobs, store, "b", b"new"),
        blobs.health(),
    );
    for told in [
        unavailable(&server, content),
        unavailable(&server, info),
        unavailable(&server, list),
        unavailable(&server, delete),
    ] {
        assert_eq!(told, late);
    }
    // Content may take longer than a question, but not for ever.
    unavailable(&server, written);
    let failing =
        |health| matches!(health, Health::Failing { reason, .. } if reason == Reason::Unreachable);
    assert!(failing(health));
    proxy.release();
    until_well(&blobs).await;
    assert_eq!(read(&blobs, store, "a").await.unwrap(), b"kept");
    write(&blobs, store, "b", b"newer").await.unwrap();
    assert_eq!(read(&blobs, store, "b").await.unwrap(), b"newer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_writes_as_can_be_at_once_leave_room_for_other_stores() {
    let Some(server) = S3Server::start().await else {
        return;
    };
    let (proxy, blobs) = through(&server).await;
    let (busy, other) = (StoreId::random(), StoreId::random());
    write(&blobs, other, "a", b"kept").await.unwrap();
    proxy.hold();
    let names: Vec<String> = (0..8).map(|name: u8| name.to_string()).collect();
    let mut writes: Vec<_> = names
        .iter()
        .map(|name| write(&blobs, busy, name, b"new").boxed())
        .collect();
    for write in &mut writes {
        assert!(futures::poll!(write).is_pending());
    }
    let told = unavailable(&server, write(&blobs, busy, "more", b"new").await);
    assert!(told.contains("as many as can be at once"), "{told}");
    let mut waits = write(&blobs, other, "b", b"new").boxed();
    assert!(
        futures::poll!(&mut waits).is_pending(),
        "it waits for the server alone"
    );
    proxy.release();
    for written in join_all(writes).await {
        written.unwrap();
    }
    waits.await.unwrap();
    write(&blobs, busy, "more", b"new").await.unwrap();
    assert_eq!(read(&blobs, busy, "7").await.unwrap(), b"new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_moved_is_found_where_its_address_leads() {
    let Some(mut server) = S3Server::start().await else {
        return;
    };
    let (proxy, blobs) = through(&server).await;
    let store = StoreId::random();
    write(&blobs, store, "a", b"kept").await.unwrap();
    server.kill();
    unavailable(&server, read(&blobs, store, "a").await);
    until_failing(&server, &blobs, Reason::Unreachable).await;
    server.start_elsewhere().await;
    proxy.lead_to(server.address());
    until_well(&blobs).await;
    assert_eq!(read(&blobs, store, "a").await.unwrap(), b"kept");
    write(&blobs, store, "b", b"there").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_are_revoked_say_so_until_they_are_good_again() {
    let Some(server) = S3Server::start().await else {
        return;
    };
    server.permit("tenant", Some("s3cr3t-of-the-tenant"));
    let mut options = server.options("shoal");
    options.access_key_id = "tenant".to_owned();
    options.secret_access_key = "s3cr3t-of-the-tenant".to_owned();
    let (blobs, neighbour) = (S3::new(&options).unwrap(), server.open("neighbour"));
    let store = StoreId::random();
    write(&blobs, store, "a", b"kept").await.unwrap();
    server.permit("tenant", None);
    let refused = [
        unavailable(&server, read(&blobs, store, "a").await),
        unavailable(&server, write(&blobs, store, "b", b"x").await),
        unavailable(&server, blobs.list(store, None, 10).await),
    ];
    assert_eq!(refused, ["it refuses its credentials"; 3]);
    until_failing(&server, &blobs, Reason::CredentialsRefused).await;
    write(&neighbour, store, "a", b"of another class")
        .await
        .unwrap();
    assert_eq!(neighbour.health().await, Health::Reachable);
    server.permit("tenant", Some("s3cr3t-of-the-tenant"));
    until_well(&blobs).await;
    assert_eq!(read(&blobs, store, "a").await.unwrap(), b"kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_cut_half_way_is_an_error_and_leaves_all_as_it_was() {
    let Some(mut server) = S3Server::start().await else {
        return;
    };
    let (blobs, store) = (server.open("shoal"), StoreId::random());
    write(&blobs, store, "a", b"old").await.unwrap();
    let large = blobs.write(store, "large".into(), filled(7, LARGE), WIDE);
    large.await.unwrap();
    let before = server.files().len();

    let (mut pieces, content) = mpsc::channel(0);
    let replace = blobs.write(store, "a".into(), content.boxed(), WIDE);
    let cut = async {
        for _ in 0..100 {
            let piece = Ok(Bytes::from(vec![1; 60_000]));
            pieces.send(piece).await.unwrap();
        }
        // The first part is on the server.
        while server.files().len() == before {
            tokio::task::yield_now().await;
        }
        let opened = blobs.read(store, "large".into(), ByteRange::ALL).await;
        let mut opened = opened.unwrap().content;
        opened.next().await.unwrap().unwrap();
        server.kill();
        drop(pieces);
        let mut last = None;
        while let Some(piece) = opened.next().await {
            last = Some(piece);
        }
        last
    };
    let (replaced, last) = tokio::join!(replace, cut);
    unavailable(&server, replaced);
    unavailable(&server, last.unwrap());
    server.start_again().await;
    until_well(&blobs).await;
    assert_eq!(read(&blobs, store, "a").await.unwrap(), b"old");
    assert_eq!(read(&blobs, store, "large").await.unwrap().len(), LARGE);
}

const FOLDER: &str = "SHOAL_TEST_S3_SMALL_DISK";

/// The child: runs where `FOLDER`, in which its server keeps everything, is a file system of 64 MiB, which it may
/// enlarge.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_of_a_server_with_a_small_disk() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let Some(server) = S3Server::start().await else {
        return;
    };
    let (blobs, store) = (server.open("shoal"), StoreId::random());
    let put = async |number: usize| {
        let content = filled(7, 3_000_000);
        blobs.write(store, number.to_string(), content, WIDE).await
    };
    let mut written = 0;
    let refused = loop {
        match put(written).await {
            Ok(()) => written += 1,
            refused => break refused,
        }
        assert!(written < 100, "the disk never filled");
    };
    assert_eq!(unavailable(&server, refused), "it has no more room");
    assert!(written > 5, "{written} objects fit");
    until_failing(&server, &blobs, Reason::ReadOnly).await;
    for number in 0..written {
        let content = read(&blobs, store, &number.to_string()).await.unwrap();
        assert_eq!(content.len(), 3_000_000, "an acknowledged object is gone");
    }
    enlarge(&folder, "256m");
    put(written).await.unwrap();
    assert_eq!(blobs.health().await, Health::Reachable);
    println!("recovered after {written} objects");
}

#[test]
fn a_server_whose_disk_is_full_refuses_writes_plainly_until_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let apart = Apart {
        test: "s3_faults::child_of_a_server_with_a_small_disk",
        mount: "mount -t tmpfs -o size=64m tmpfs \"$1\"",
        place: folder.path(),
        // Its files are in a temporary folder.
        environment: &[(FOLDER, folder.path()), ("TMPDIR", folder.path())],
        as_root: false,
        word: "recovered",
    };
    apart.run("an S3 server with a full disk");
}
