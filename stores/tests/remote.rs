//! Stores over gRPC: the same promises, and what happens when the other side is not there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod proxy;
mod served;

use std::time::Duration;

use bytes::Bytes;
use proxy::Proxy;
use served::{Classes, Served, identity};
use shoal_protocol::{CertificateAuthority, Role};
use shoal_stores::{
    Backend, BlobError, Blobs, Health, KeyValue, KeyValueError, MAX_BYTES_PER_CALL, Reason, Remote,
    RemoteBlobs, RemoteSql, Sql, SqlError, StoreId, StoreLimits,
    sql::{Session, Statement},
};

fn limits() -> StoreLimits {
    StoreLimits::default()
}

#[tokio::test]
async fn limits_hold_on_both_sides_and_a_full_call_fits_in_a_message() {
    let store = StoreId::random();
    let served = Served::start(&[("pod-a", &[store])]);
    let remote = served.runtime("pod-a");
    let roomy = StoreLimits {
        key_bytes: 1024,
        value_bytes: MAX_BYTES_PER_CALL as u64,
        ..StoreLimits::default()
    };
    let value = Bytes::from(vec![1; MAX_BYTES_PER_CALL - 1024]);
    remote
        .set(store, vec![("k".repeat(1024), value.clone())], roomy)
        .await
        .unwrap();
    assert_eq!(
        remote.get(store, vec!["k".repeat(1024)]).await.unwrap(),
        [Some(value)]
    );
    let error = remote
        .set(store, vec![("k".repeat(1025), Bytes::new())], roomy)
        .await;
    assert!(matches!(error, Err(KeyValueError::LimitExceeded(_))));
    let text_limit = StoreLimits {
        key_bytes: 10,
        value_bytes: 1,
        ..StoreLimits::default()
    };
    remote
        .set(store, vec![("n".into(), "9".into())], text_limit)
        .await
        .unwrap();
    let error = remote
        .increment(store, "n".into(), 1, text_limit)
        .await
        .unwrap_err();
    assert!(matches!(error, KeyValueError::LimitExceeded(_)), "{error}");
}

#[tokio::test]
async fn a_class_bounds_its_stores_whatever_a_runtime_says() {
    let store = StoreId::random();
    let classes = Classes(Some(shoal_protocol::v1::StoreLimits {
        key_bytes: 10,
        value_bytes: 10,
        keys: 1,
        bytes: 100,
    }));
    let served = Served::under(classes, &[("pod-a", &[store])]);
    // What the runtime says allows all of it.
    let (remote, blobs, sql) = (
        served.runtime("pod-a"),
        served.blobs("pod-a"),
        served.sql("pod-a"),
    );
    let pair = |key: &str, bytes: usize| vec![(key.to_owned(), Bytes::from(vec![7; bytes]))];
    remote.set(store, pair("a", 10), limits()).await.unwrap();
    let refused = [
        remote.set(store, pair("a", 11), limits()).await,
        remote.set(store, pair("b", 1), limits()).await,
        remote.set(store, pair("a longer key", 1), limits()).await,
        remote
            .increment(store, "n".into(), 1, limits())
            .await
            .map(drop),
        remote
            .compare_and_swap(store, "c".into(), None, Bytes::new(), limits())
            .await
            .map(drop),
    ];
    for refused in refused {
        assert!(
            matches!(refused, Err(KeyValueError::LimitExceeded(_))),
            "{refused:?}"
        );
    }
    let content = futures::stream::iter([Ok(Bytes::from_static(b"11 bytes ..."))]);
    let object = blobs.write(store, "a".into(), Box::pin(content), limits());
    let object = object.await;
    assert!(
        matches!(object, Err(BlobError::LimitExceeded(_))),
        "{object:?}"
    );
    let statement = Statement {
        text: "CREATE TABLE t(a)".to_owned(),
        parameters: Vec::new(),
    };
    let session = &mut Session::new(store);
    let made = sql.execute(session, statement, limits()).await.map(drop);
    assert!(matches!(made, Err(SqlError::Full(_))), "{made:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_large_answers_wait_for_each_other_and_all_come() {
    let store = StoreId::random();
    let served = Served::start(&[("pod-a", &[store])]);
    let remote = std::sync::Arc::new(served.runtime("pod-a"));
    let roomy = StoreLimits {
        key_bytes: 1024,
        value_bytes: MAX_BYTES_PER_CALL as u64,
        ..StoreLimits::default()
    };
    let value = Bytes::from(vec![1; MAX_BYTES_PER_CALL / 8]);
    let pair = vec![("k".to_owned(), value.clone())];
    remote.set(store, pair, roomy).await.unwrap();
    let reads: Vec<_> = (0..20)
        .map(|_| {
            let remote = remote.clone();
            tokio::spawn(async move { remote.get(store, vec!["k".to_owned()]).await })
        })
        .collect();
    for read in reads {
        assert_eq!(read.await.unwrap().unwrap(), [Some(value.clone())]);
    }
}

#[tokio::test]
async fn a_store_that_is_away_fails_calls_without_its_address() {
    let ca = CertificateAuthority::generate().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = free.local_addr().unwrap().to_string();
    drop(free);
    let remote = Remote::new(&target, &identity(&ca, Role::Runtime, "pod-a")).unwrap();
    let error = remote
        .get(StoreId::random(), vec!["key".into()])
        .await
        .unwrap_err();
    assert!(matches!(error, KeyValueError::Unavailable(_)));
    assert!(!error.to_string().contains("127.0.0.1"), "{error}");
}

fn ill(health: &Health) -> Option<Reason> {
    match health {
        Health::Reachable => None,
        Health::Failing { reason, message } => {
            assert!(!message.contains("127.0.0.1"), "{message}");
            Some(*reason)
        }
    }
}

/// Asks again until nothing is wrong.
async fn until_well(ask: impl AsyncFn() -> Option<Reason>) {
    for _ in 0..600 {
        if ask().await.is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it never did well again");
}

/// Every interface, to a store that takes what is sent and says nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_silent_fails_calls_by_their_deadline_and_all_is_well_when_it_is_not() {
    let store = StoreId::random();
    let served = Served::start(&[("pod-a", &[store])]);
    let proxy = Proxy::to(served.target.parse().unwrap()).await;
    let (target, identity) = (
        proxy.address.to_string(),
        identity(&served.ca, Role::Runtime, "pod-a"),
    );
    let keys = Remote::new(&target, &identity).unwrap();
    let memory = keys.in_memory();
    let sql = RemoteSql::new(&target, &identity).unwrap();
    let blobs = RemoteBlobs::new(&target, &identity).unwrap();
    let pair = || vec![("key".to_owned(), Bytes::from_static(b"value"))];
    let content = || futures::stream::iter([Ok(Bytes::from_static(b"content"))]);
    let put = || blobs.write(store, "a".into(), Box::pin(content()), limits());
    let run = async |text: &str| {
        let statement = Statement {
            text: text.to_owned(),
            parameters: Vec::new(),
        };
        let session = &mut Session::new(store);
        sql.execute(session, statement, limits()).await.map(drop)
    };
    keys.set(store, pair(), limits()).await.unwrap();
    put().await.unwrap();
    run("CREATE TABLE t(a)").await.unwrap();

    proxy.hold();
    let (read, written, added, of_memory, statement, of_object, object) = tokio::join!(
        keys.get(store, vec!["key".into()]),
        keys.set(store, pair(), limits()),
        keys.increment(store, "sum".into(), 1, limits()),
        memory.get(store, vec!["key".into()]),
        run("INSERT INTO t VALUES (1)"),
        blobs.info(store, "a".into()),
        put(),
    );
    let late = |seconds: u64| format!("it did not answer within {seconds} s");
    let of_keys = Err(KeyValueError::Unavailable(late(5)));
    assert_eq!(read.map(drop), of_keys);
    assert_eq!(written, of_keys);
    assert_eq!(added.map(drop), of_keys);
    assert_eq!(of_memory.map(drop), of_keys);
    assert_eq!(statement, Err(SqlError::Unavailable(late(7))));
    let of_objects = Err(BlobError::Unavailable(late(7)));
    assert_eq!(of_object.map(drop), of_objects);
    // By then the connection may be taken for dead.
    let (late, away) = (late(10), "it cannot be reached".to_owned());
    let is_plain =
        matches!(&object, Err(BlobError::Unavailable(why)) if *why == late || *why == away);
    assert!(is_plain, "{object:?}");
    let (of_keys, of_objects) = tokio::join!(keys.health(), blobs.health());
    assert_eq!(ill(&of_keys), Some(Reason::Unreachable));
    assert_eq!(ill(&of_objects), Some(Reason::Unreachable));

    proxy.release();
    until_well(async || ill(&keys.health().await)).await;
    until_well(async || ill(&blobs.health().await)).await;
    keys.set(store, pair(), limits()).await.unwrap();
    put().await.unwrap();
    run("INSERT INTO t VALUES (2)").await.unwrap();
}

#[tokio::test]
async fn a_call_waits_for_a_store_that_comes_back() {
    let store = StoreId::random();
    let served = Served::start(&[("pod-a", &[store])]);
    let remote = served.runtime("pod-a");
    let pair = || vec![("key".to_owned(), Bytes::from_static(b"value"))];
    remote.set(store, pair(), limits()).await.unwrap();

    // A listener that is bound but not yet served is a store that is starting.
    let ca = &served.ca;
    let listener = shoal_protocol::server::Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let remote = Remote::new(&target, &identity(ca, Role::Runtime, "pod-a")).unwrap();
    let call = tokio::spawn(async move { remote.set(store, pair(), limits()).await });
    let incoming = listener
        .incoming(
            &identity(ca, Role::Store, "store-pod"),
            shoal_protocol::ClientAuth::Required,
        )
        .unwrap();
    let grants = shoal_protocol::Grants::fixed(shoal_protocol::v1::GrantSet {
        epoch: 1,
        pods: vec![shoal_protocol::v1::PodGrants {
            pod_uid: "pod-a".into(),
            store_ids: vec![store.to_string()],
            ..Default::default()
        }],
    });
    let service = shoal_stores::server::Server::service(
        served.backends.clone(),
        shoal_stores::server::Admission::new(grants, std::sync::Arc::new(Classes(None))),
        served.operations.clone(),
    );
    tokio::spawn(
        shoal_protocol::server::builder()
            .add_service(service)
            .serve_with_incoming(incoming),
    );
    assert_eq!(call.await.unwrap(), Ok(()));
}
