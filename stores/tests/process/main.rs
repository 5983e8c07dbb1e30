//! The process `shoal-store`, with an operator that signs and grants, and runtimes that call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod disk_full;
mod moved;
#[path = "../../../protocol/tests/parts/mod.rs"]
mod parts;
mod place;
#[path = "../store_process/mod.rs"]
mod store_process;

use std::{
    fmt::Display,
    fs,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use parts::{NODE, Operator, POD, part, until};
use place::Place;
use shoal_protocol::{
    Identity, Role,
    v1::{GrantSet, PodGrants},
};
use shoal_stores::{Backend, Health, KeyValue, KeyValueError, Remote, StoreId, StoreLimits};
use store_process::{Process, free_address};

/// Makes a call until it succeeds.
pub(crate) async fn again<T, E: Display>(mut call: impl AsyncFnMut() -> Result<T, E>) -> T {
    let given_up = Instant::now() + Duration::from_secs(180);
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < given_up, "{error}"),
        }
    }
}

async fn until_well(remote: &Remote) {
    again(async || match remote.health().await {
        Health::Reachable => Ok(()),
        Health::Failing { message, .. } => Err(KeyValueError::Unavailable(message)),
    })
    .await;
}

fn start(folder: &Path, operator: SocketAddr, grpc: SocketAddr, metrics: SocketAddr) -> Process {
    let program = env!("CARGO_BIN_EXE_shoal-store").as_ref();
    let few_bytes = ["--memory-bytes", "1000"];
    Process::start(program, folder, operator, grpc, metrics, &few_bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_outlive_a_killed_process_even_while_the_operator_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let operator = Operator::new();
    *operator.identity.lock().unwrap() = Identity::new(Role::Store, "", NODE, "store-0").unwrap();
    let ca = operator.authority();
    fs::write(folder.path().join("ca.crt"), ca.certificate_pem()).unwrap();
    fs::write(folder.path().join("token"), "not yet").unwrap();
    let serving = operator.serve();
    let (grpc, metrics) = (free_address(), free_address());

    let mut process = start(folder.path(), serving.address, grpc, metrics);
    until("it is alive", || process.get("/healthz").is_some()).await;
    let (status, why) = process.get("/readyz").unwrap();
    assert_eq!(
        (status.as_str(), why.contains("certificate")),
        ("503", true),
        "{why}"
    );
    fs::write(folder.path().join("token"), "good").unwrap();
    until("it is ready", || process.is_ready()).await;

    let (store, other) = (StoreId::random(), StoreId::random());
    let pod = PodGrants {
        pod_uid: POD.to_owned(),
        store_ids: vec![store.to_string()],
        ..Default::default()
    };
    operator.grants.send_replace(GrantSet {
        epoch: 7,
        pods: vec![pod],
    });
    let runtime = part(&ca, &parts::runtime_identity());
    let remote = Remote::new(&grpc.to_string(), &runtime).unwrap();
    let pair = || vec![("key".to_owned(), Bytes::from_static(b"value"))];
    let limits = StoreLimits::default();
    // The grant is on its way.
    again(async || remote.set(store, pair(), limits).await).await;
    assert_eq!(
        remote.set(other, pair(), limits).await,
        Err(KeyValueError::AccessDenied)
    );
    // The same Store of backend `memory` is another: it has its own keys, and a bound for all.
    let memory = remote.in_memory();
    assert_eq!(
        memory.get(store, vec!["key".to_owned()]).await,
        Ok(vec![None])
    );
    memory
        .increment(store, "sum".into(), 1, limits)
        .await
        .unwrap();
    let large = vec![("large".to_owned(), Bytes::from(vec![7; 1000]))];
    let full = memory.set(store, large, limits).await.unwrap_err();
    assert!(full.to_string().contains("share 1000 bytes"), "{full}");
    until_well(&memory).await;
    until_well(&remote).await;
    let (_, text) = process.get("/metrics").unwrap();
    assert!(
        text.contains("shoal_store_served_calls_total{op=\"set\",code=\"OK\"} 1\n"),
        "{text}"
    );

    drop(serving);
    assert!(!process.end("-KILL").success());
    let mut process = start(folder.path(), free_address(), grpc, metrics);
    // Asked while it starts: calls wait for it, but not for one that is slow to start.
    let value = again(async || remote.get(store, vec!["key".to_owned()]).await).await;
    assert_eq!(value, [Some(Bytes::from_static(b"value"))]);
    assert_eq!(memory.exists(store, "sum".into()).await, Ok(false));
    assert_eq!(
        remote.set(other, pair(), limits).await,
        Err(KeyValueError::AccessDenied)
    );
    until("it is ready again", || process.is_ready()).await;
    assert!(process.end("-TERM").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_takes_away_its_own_stores_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let stores = folder.path().join("data/stores");
    drop(shoal_stores::Embedded::open(&stores, Default::default()).unwrap());
    fs::write(stores.join("kv-2.db"), vec![7; 64 * 1024]).unwrap();
    let place = Place::new(folder.path());
    let grpc = free_address();
    let process = place.start(grpc).await;

    let store = loop {
        let store = StoreId::random();
        if store.as_bytes()[15] % 4 != 2 {
            break store;
        }
    };
    place.grant(&[store]);
    let remote = Remote::new(&grpc.to_string(), &place.runtime()).unwrap();
    let get = async || remote.get(store, vec!["key".to_owned()]).await;
    assert_eq!(again(get).await, [None]);
    let sum = remote.increment(store, "sum".into(), 1, StoreLimits::default());
    assert_eq!(sum.await, Ok(1));
    until_well(&remote.in_memory()).await;
    // The class says what is wrong.
    assert_ne!(remote.health().await, Health::Reachable);
    assert!(process.is_ready());
}

#[tokio::test]
async fn without_authorities_it_ends_and_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let mut process = start(folder.path(), address, free_address(), free_address());
    let mut status = None;
    until("the process ended", || {
        status = process.status();
        status.is_some()
    })
    .await;
    assert_eq!(status.unwrap().code(), Some(1));
}
