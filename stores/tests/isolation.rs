//! A Store's keys are out of reach of every other Store, whatever names are tried.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod backend;

use backend::{Backend, served::Served};
use bytes::Bytes;
use shoal_stores::{KeyValue, KeyValueError, StoreId, StoreLimits, key_value::Swap};
use tokio::runtime::Runtime;

const SECRET: &str = "a neighbour's value";

/// Names under which one might find the keys of `victim`, beside the keys themselves.
fn names(victim: StoreId) -> Vec<String> {
    let id = victim.to_string();
    let bare = id.replace('-', "");
    let binary: String = victim
        .as_bytes()
        .iter()
        .map(|byte| char::from(*byte))
        .collect();
    let mut names: Vec<String> = KEYS.iter().map(|key| (*key).to_owned()).collect();
    names.push(COUNTER.to_owned());
    for prefix in [&id, &bare, &binary, &id.to_uppercase(), "..", "", "%", "*"] {
        for separator in [
            "", "/", ":", "\0", "\u{1f}", ".", "-", "_", "|", "\\", "/../", "\n",
        ] {
            for key in KEYS {
                names.push(format!("{prefix}{separator}{key}"));
            }
        }
    }
    for pattern in [
        "%", "_%", "*", "?*", "[a-z]*", "a*", "k%", ".*", "^k", "key", "KEY", "Key",
    ] {
        names.push(pattern.to_owned());
    }
    for hostile in [
        "' OR '1'='1",
        "x'); DELETE FROM kv; --",
        "x'); DELETE FROM shoal_kv; --",
        "\" OR store = store --",
        "key' UNION SELECT value FROM kv --",
        "../../kv-0.db",
        "../key",
        "/etc/passwd",
        "file:kv-0.db?mode=ro",
        "ke\u{301}y",
        "k\u{e9}y",
        "ｋｅｙ",
        "key\0",
        "\0key",
        "key ",
        " key",
        "key\u{200b}",
        "\u{feff}key",
        "\u{10ffff}",
    ] {
        names.push(hostile.to_owned());
    }
    names.push(String::new());
    names.push("k".repeat(100_000));
    names.sort();
    names.dedup();
    names
}

const COUNTER: &str = "counter";
const KEYS: [&str; 5] = ["key", "k\u{e9}y", "a\0b", "0", "dir/key"];

/// Fills `victim` as its owner, then tries to read and to harm it through `attacker`.
async fn assert_isolated(
    owner: &dyn KeyValue,
    victim: StoreId,
    stores: &dyn KeyValue,
    attacker: StoreId,
) {
    let limits = StoreLimits::default();
    let pairs = KEYS.map(|key| (key.to_owned(), Bytes::from_static(SECRET.as_bytes())));
    owner.set(victim, pairs.to_vec(), limits).await.unwrap();
    let counter = || COUNTER.to_owned();
    let count = async |by| owner.increment(victim, counter(), by, limits).await;
    assert_eq!(count(41).await, Ok(41));

    let names = names(victim);
    for some in names.chunks(500) {
        let values = stores.get(attacker, some.to_vec()).await.unwrap();
        assert!(
            values.iter().all(Option::is_none),
            "read under one of {some:?}"
        );
    }
    for name in names
        .iter()
        .filter(|name| !name.is_empty() && name.len() <= 1024)
    {
        assert!(
            !stores.exists(attacker, name.clone()).await.unwrap(),
            "exists: {name:?}"
        );
        let page = stores
            .list_keys(attacker, Some(name.clone()), 10)
            .await
            .unwrap();
        assert_eq!(page.keys, Vec::<String>::new(), "listed after {name:?}");
        let expected = Some(Bytes::from_static(SECRET.as_bytes()));
        let swap = stores
            .compare_and_swap(attacker, name.clone(), expected, Bytes::new(), limits)
            .await
            .unwrap();
        assert_eq!(swap, Swap::Lost { current: None }, "swapped {name:?}");
    }
    // Whatever a neighbour has under a name, a counter begins at nothing.
    for name in names.iter().filter(|name| (1..=1024).contains(&name.len())) {
        let counted = stores.increment(attacker, name.clone(), 1, limits).await;
        assert_eq!(counted, Ok(1), "counted {name:?}");
    }
    // Overwriting and deleting under every name touches only the attacker's own.
    for some in names.chunks(500) {
        let pairs = some
            .iter()
            .filter(|name| (1..=1024).contains(&name.len()))
            .map(|name| (name.clone(), Bytes::from_static(b"overwritten")));
        stores.set(attacker, pairs.collect(), limits).await.unwrap();
        stores.delete(attacker, some.to_vec()).await.unwrap();
    }
    let kept = owner
        .get(victim, KEYS.map(str::to_owned).to_vec())
        .await
        .unwrap();
    assert!(
        kept.iter()
            .all(|value| value.as_deref() == Some(SECRET.as_bytes()))
    );
    assert_eq!(count(0).await, Ok(41));
    let mut expected = KEYS.map(str::to_owned).to_vec();
    expected.push(counter());
    expected.sort();
    assert_eq!(
        owner.list_keys(victim, None, 100).await.unwrap().keys,
        expected
    );
    assert!(
        stores
            .list_keys(attacker, None, 100)
            .await
            .unwrap()
            .keys
            .is_empty()
    );
}

/// Two ids that differ in one bit.
fn close_ids() -> [StoreId; 2] {
    [
        "6a0c8f9e-3b1d-4d54-9c56-0d6f1b1a2c30",
        "6a0c8f9e-3b1d-4d54-9c56-0d6f1b1a2c31",
    ]
    .map(|id| id.parse().unwrap())
}

on_every_backend!(a_neighbours_keys_are_out_of_reach);

fn a_neighbours_keys_are_out_of_reach(runtime: &Runtime, backend: &dyn Backend) {
    runtime.block_on(async {
        for ids in [close_ids(), [StoreId::random(), StoreId::random()]] {
            let opened = backend.open(&ids).await;
            let [victim, attacker] = ids;
            assert_isolated(&*opened.of(victim), victim, &*opened.of(attacker), attacker).await;
        }
    });
}

#[tokio::test]
async fn a_pod_opens_only_what_is_granted_to_it() {
    let (mine, other) = (StoreId::random(), StoreId::random());
    let served = Served::start(&[("pod-a", &[mine]), ("pod-b", &[other])]);
    let limits = StoreLimits::default();
    let pair = || vec![("key".to_owned(), Bytes::from_static(SECRET.as_bytes()))];
    served
        .runtime("pod-b")
        .set(other, pair(), limits)
        .await
        .unwrap();

    let pod = served.runtime("pod-a");
    pod.set(mine, pair(), limits).await.unwrap();
    let key = || "key".to_owned();
    let denied = KeyValueError::AccessDenied;
    let not_granted = tokio::join!(
        pod.get(other, vec![key()]),
        pod.set(other, pair(), limits),
        pod.delete(other, vec![key()]),
        pod.exists(other, key()),
        pod.list_keys(other, None, 10),
        pod.increment(other, key(), 1, limits),
        pod.compare_and_swap(other, key(), None, Bytes::new(), limits),
    );
    assert_eq!(not_granted.0, Err(denied.clone()));
    assert_eq!(not_granted.1, Err(denied.clone()));
    assert_eq!(not_granted.2, Err(denied.clone()));
    assert_eq!(not_granted.3, Err(denied.clone()));
    assert_eq!(not_granted.4, Err(denied.clone()));
    assert_eq!(not_granted.5, Err(denied.clone()));
    assert_eq!(not_granted.6, Err(denied.clone()));

    // To count and to purge is the operator's, whatever is granted.
    assert_eq!(pod.usage(mine).await, Err(denied.clone()));
    assert_eq!(pod.purge(mine).await, Err(denied.clone()));

    // A pod that nobody knows, and parts that are no runtimes, even with a granted pod's UID.
    let unknown = served.runtime("pod-c");
    assert_eq!(unknown.get(mine, vec![key()]).await, Err(denied.clone()));
    for role in [shoal_protocol::Role::Builder, shoal_protocol::Role::Store] {
        let part = served.part(role, "pod-a");
        assert_eq!(part.get(mine, vec![key()]).await, Err(denied.clone()));
    }
    let value = served
        .runtime("pod-b")
        .get(other, vec![key()])
        .await
        .unwrap();
    assert_eq!(value, [Some(Bytes::from_static(SECRET.as_bytes()))]);
    let metrics = served.operations.render();
    assert!(
        metrics.contains("{op=\"get\",code=\"PERMISSION_DENIED\"} 4"),
        "{metrics}"
    );
}
