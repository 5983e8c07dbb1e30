//! Stores over gRPC: the same promises, and what happens when the other side is not there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod served;

use std::time::{Duration, Instant};

use bytes::Bytes;
use served::{Served, identity};
use shoal_protocol::{CertificateAuthority, Role};
use shoal_stores::{
    KeyValue, KeyValueError, MAX_BYTES_PER_CALL, Remote, StoreId, StoreLimits, key_value::Swap,
};

fn limits() -> StoreLimits {
    StoreLimits::default()
}

#[tokio::test]
async fn every_call_does_over_the_wire_what_it_promises() {
    let store = StoreId::random();
    let served = Served::start(&[("pod-a", &[store])]);
    let remote = served.runtime("pod-a");
    let text = |text: &'static str| Bytes::from_static(text.as_bytes());
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();

    let pairs = vec![
        ("a".into(), text("1")),
        ("b\0".into(), Bytes::new()),
        ("é".into(), text("x")),
    ];
    remote.set(store, pairs, limits()).await.unwrap();
    let values = remote
        .get(store, keys(&["é", "nothing", "a", "b\0", "a"]))
        .await
        .unwrap();
    let (x, one) = (Some(text("x")), Some(text("1")));
    assert_eq!(values, [x, None, one.clone(), Some(Bytes::new()), one]);
    assert!(remote.exists(store, "b\0".into()).await.unwrap());
    assert!(!remote.exists(store, "b".into()).await.unwrap());

    let page = remote.list_keys(store, None, 2).await.unwrap();
    assert_eq!((page.keys, page.more), (keys(&["a", "b\0"]), true));
    let page = remote
        .list_keys(store, Some("b\0".into()), 2)
        .await
        .unwrap();
    assert_eq!((page.keys, page.more), (keys(&["é"]), false));

    assert_eq!(
        remote.increment(store, "a".into(), 41, limits()).await,
        Ok(42)
    );
    let error = remote.increment(store, "é".into(), 1, limits()).await;
    assert_eq!(error, Err(KeyValueError::NotAnInteger));

    let swap =
        |expected, value| remote.compare_and_swap(store, "new".into(), expected, value, limits());
    assert_eq!(swap(None, text("first")).await, Ok(Swap::Done));
    let lost = Swap::Lost {
        current: Some(text("first")),
    };
    assert_eq!(swap(None, text("second")).await, Ok(lost));
    assert_eq!(
        swap(Some(text("first")), text("second")).await,
        Ok(Swap::Done)
    );

    remote
        .delete(store, keys(&["a", "nothing", "new"]))
        .await
        .unwrap();
    assert_eq!(
        remote.list_keys(store, None, 9).await.unwrap().keys,
        keys(&["b\0", "é"])
    );
}

#[tokio::test]
async fn limits_hold_on_both_sides_and_a_full_call_fits_in_a_message() {
    let store = StoreId::random();
    let served = Served::start(&[("pod-a", &[store])]);
    let remote = served.runtime("pod-a");
    let roomy = StoreLimits {
        key_bytes: 1024,
        value_bytes: MAX_BYTES_PER_CALL as u64,
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_large_answers_wait_for_each_other_and_all_come() {
    let store = StoreId::random();
    let served = Served::start(&[("pod-a", &[store])]);
    let remote = std::sync::Arc::new(served.runtime("pod-a"));
    let roomy = StoreLimits {
        key_bytes: 1024,
        value_bytes: MAX_BYTES_PER_CALL as u64,
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
async fn a_store_that_is_away_fails_calls_within_the_deadline_and_without_its_address() {
    let ca = CertificateAuthority::generate().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = free.local_addr().unwrap().to_string();
    drop(free);
    let remote = Remote::new(&target, &identity(&ca, Role::Runtime, "pod-a")).unwrap();
    let start = Instant::now();
    let error = remote
        .get(StoreId::random(), vec!["key".into()])
        .await
        .unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(7));
    assert!(matches!(error, KeyValueError::Unavailable(_)));
    assert!(!error.to_string().contains("127.0.0.1"), "{error}");
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
            digests: Vec::new(),
        }],
    });
    let service = shoal_stores::server::Server::service(
        served.stores.clone(),
        grants,
        served.operations.clone(),
    );
    tokio::spawn(
        shoal_protocol::server::builder()
            .add_service(service)
            .serve_with_incoming(incoming),
    );
    assert_eq!(call.await.unwrap(), Ok(()));
}
