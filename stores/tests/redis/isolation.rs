//! A Store's keys are out of reach of every other Store and of every other prefix.

use bytes::Bytes;
use shoal_stores::{KeyValue, Redis, RedisOptions, StoreId, key_value::Swap};

use crate::{get, limits, reason, redis_server::RedisServer, set};

const SECRET: &str = "a neighbour's value";
const KEYS: [&str; 5] = ["key", "k\u{e9}y", "a\0b", "0", "dir/key"];

/// Names under which one might find what `victim` holds: its keys, and what this backend calls them.
fn names(victim: StoreId) -> Vec<String> {
    let id = victim.to_string();
    let mut names: Vec<String> = KEYS.iter().map(|key| (*key).to_owned()).collect();
    for prefix in ["shoal", "*", "", "other"] {
        for tag in [format!("{{{id}}}"), id.clone(), "{*}".to_owned()] {
            for part in ["values", "index", "size", "*", "key"] {
                for separator in [":", "", "}:", ":{"] {
                    names.push(format!("{prefix}{separator}{tag}{separator}{part}"));
                }
            }
        }
    }
    let hostile = [
        "*",
        "?",
        "[a-z]*",
        "k*",
        "k?y",
        "\\*",
        "}",
        "{",
        "{}",
        "}:values",
        "key\0",
        "\0key",
        "key\r\n",
        "\r\nGET key\r\n",
        "$3\r\nkey",
        "(key",
        "[key",
        "-",
        "+",
        "KEY",
        "ke\u{301}y",
        "key ",
        "\u{10ffff}",
        "') redis.call('FLUSHALL') --",
        "]] return 1 --",
    ];
    names.extend(hostile.map(str::to_owned));
    names
}

/// Fills `victim` as its owner, then tries to read and to harm it through `attacker`.
async fn assert_isolated(owner: &Redis, victim: StoreId, stores: &Redis, attacker: StoreId) {
    let secret = || Bytes::from_static(SECRET.as_bytes());
    let pairs = KEYS.map(|key| (key.to_owned(), secret()));
    owner.set(victim, pairs.to_vec(), limits()).await.unwrap();

    let names = names(victim);
    let values = stores.get(attacker, names.clone()).await.unwrap();
    assert!(values.iter().all(Option::is_none));
    for name in &names {
        assert_eq!(get(stores, attacker, name).await.unwrap(), None);
        assert!(!stores.exists(attacker, name.clone()).await.unwrap());
        let page = stores
            .list_keys(attacker, Some(name.clone()), 10)
            .await
            .unwrap();
        assert_eq!(page.keys, Vec::<String>::new(), "listed after {name:?}");
        if name.is_empty() {
            continue;
        }
        let swap = stores
            .compare_and_swap(
                attacker,
                name.clone(),
                Some(secret()),
                Bytes::new(),
                limits(),
            )
            .await;
        assert_eq!(swap, Ok(Swap::Lost { current: None }), "swapped {name:?}");
    }
    // Writing under every name touches only the attacker's own.
    for name in names.iter().filter(|name| !name.is_empty()) {
        set(stores, attacker, name, "7").await.unwrap();
        let sum = stores.increment(attacker, name.clone(), 1, limits()).await;
        assert_eq!(sum, Ok(8));
    }
    stores.delete(attacker, names.clone()).await.unwrap();
    set(stores, attacker, "key", "mine").await.unwrap();
    stores.purge(attacker).await.unwrap();

    let kept = owner
        .get(victim, KEYS.map(str::to_owned).to_vec())
        .await
        .unwrap();
    assert!(
        kept.iter()
            .all(|value| value.as_deref() == Some(SECRET.as_bytes()))
    );
    let mut expected = KEYS.map(str::to_owned).to_vec();
    expected.sort();
    let page = owner.list_keys(victim, None, 100).await.unwrap();
    assert_eq!(page.keys, expected);
    let page = stores.list_keys(attacker, None, 100).await.unwrap();
    assert!(page.keys.is_empty());
}

fn with_prefix(server: &RedisServer, prefix: &str) -> Redis {
    let prefix = prefix.to_owned();
    let options = RedisOptions {
        prefix,
        ..server.options()
    };
    Redis::new(&options).unwrap()
}

#[tokio::test]
async fn a_neighbours_keys_are_out_of_reach() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = server.stores();
    // Two ids that differ in one bit.
    let close = [
        "6a0c8f9e-3b1d-4d54-9c56-0d6f1b1a2c30",
        "6a0c8f9e-3b1d-4d54-9c56-0d6f1b1a2c31",
    ];
    let [victim, attacker] = close.map(|id| id.parse().unwrap());
    assert_isolated(&stores, victim, &stores, attacker).await;
    assert_isolated(&stores, StoreId::random(), &stores, StoreId::random()).await;
}

#[tokio::test]
async fn two_prefixes_on_one_server_share_nothing() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    for (one, other) in [("shoal", "other"), ("a", "a-b"), ("x", "x.x")] {
        let (one, other) = (with_prefix(&server, one), with_prefix(&server, other));
        let store = StoreId::random();
        assert_isolated(&one, store, &other, store).await;
        assert_isolated(&other, StoreId::random(), &one, StoreId::random()).await;
    }
}

#[tokio::test]
async fn everything_on_the_server_is_under_the_prefix_and_the_stores_tag() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = with_prefix(&server, "cluster-1");
    let store = StoreId::random();
    for key in names(store).iter().filter(|key| !key.is_empty()) {
        set(&stores, store, key, "value").await.unwrap();
    }
    let listed = server.admin(&["KEYS", "*"]).await;
    let mut keys: Vec<String> = redis::from_redis_value(listed).unwrap();
    keys.sort();
    let expected = ["index", "size", "values"].map(|part| format!("cluster-1:{{{store}}}:{part}"));
    assert_eq!(keys, expected);
    assert_eq!(reason(&stores).await, None);
    stores.delete(store, names(store)).await.unwrap();
    let left = server.admin(&["KEYS", "*"]).await;
    let left: Vec<String> = redis::from_redis_value(left).unwrap();
    let none = "00000000-0000-0000-0000-000000000000";
    assert_eq!(left, [format!("cluster-1:{{{none}}}:place")]);
}
