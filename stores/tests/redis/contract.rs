//! What the trait promises and a model does not show: sizes, limits, and many callers.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use shoal_stores::{
    KeyValue, KeyValueError, MAX_PAGE_BYTES, MAX_PAGE_KEYS, StoreId, StoreLimits, Usage,
    key_value::Swap,
};

use crate::{counts::assert_exact, get, limits, redis_server::RedisServer, set};

#[tokio::test]
async fn a_large_store_is_listed_in_pages_in_byte_order() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = server.stores();
    let (store, neighbour) = (StoreId::random(), StoreId::random());
    set(&stores, neighbour, "key-00000000", "").await.unwrap();
    for start in (0..20_000).step_by(1000) {
        let pairs = (start..start + 1000)
            .rev()
            .map(|index| (format!("key-{index:08}"), Bytes::from_static(b"v")))
            .collect();
        stores.set(store, pairs, limits()).await.unwrap();
    }
    let (mut count, mut pages, mut after) = (0, 0, None);
    loop {
        let page = stores.list_keys(store, after, u32::MAX).await.unwrap();
        assert!(page.keys.len() <= MAX_PAGE_KEYS as usize);
        for key in &page.keys {
            assert_eq!(*key, format!("key-{count:08}"));
            count += 1;
        }
        pages += 1;
        after = page.keys.last().cloned();
        if !page.more {
            break;
        }
    }
    assert_eq!((count, pages), (20_000, 20));
    let usage = stores.usage(store).await.unwrap();
    assert_eq!((usage.keys, usage.bytes), (20_000, 20_000 * 13));

    stores.purge(store).await.unwrap();
    assert_eq!(stores.usage(store).await.unwrap(), Usage::default());
    let page = stores.list_keys(store, None, 10).await.unwrap();
    assert!(page.keys.is_empty() && !page.more);
    let page = stores.list_keys(neighbour, None, 10).await.unwrap();
    assert_eq!(page.keys, ["key-00000000"]);
}

#[tokio::test]
async fn a_page_of_long_keys_ends_where_its_bytes_do() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = server.stores();
    let store = StoreId::random();
    let roomy = StoreLimits {
        key_bytes: 2 * MAX_PAGE_BYTES as u64,
        value_bytes: 1,
        ..limits()
    };
    let keys: Vec<String> = ["a", "b", "c", "d"]
        .map(|key| key.repeat(MAX_PAGE_BYTES * 2 / 5))
        .to_vec();
    for key in &keys {
        stores
            .set(store, vec![(key.clone(), Bytes::new())], roomy)
            .await
            .unwrap();
    }
    let page = stores.list_keys(store, None, 10).await.unwrap();
    assert!(page.keys == keys[..2] && page.more);
    let page = stores
        .list_keys(store, Some(keys[1].clone()), 10)
        .await
        .unwrap();
    assert!(page.keys == keys[2..] && !page.more);
    // One that is longer than a page has a page of its own, and the listing goes on.
    let long = "0".repeat(MAX_PAGE_BYTES + 1);
    stores
        .set(store, vec![(long.clone(), Bytes::new())], roomy)
        .await
        .unwrap();
    let page = stores.list_keys(store, None, 10).await.unwrap();
    assert!(page.keys == [long] && page.more);
}

#[tokio::test]
async fn what_is_counted_is_what_is_there() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = server.stores();
    let store = StoreId::random();
    let add = |key: &str, delta| stores.increment(store, key.to_owned(), delta, limits());
    let swap = |key: &str, expected: Option<&'static str>, value: &'static str| {
        stores.compare_and_swap(
            store,
            key.to_owned(),
            expected.map(Bytes::from),
            Bytes::from(value),
            limits(),
        )
    };
    for round in 0..3 {
        let pairs = [("a", "twice"), ("empty", ""), ("a", "1"), ("b", "+007")];
        let pairs = pairs.map(|(key, value)| (key.to_owned(), Bytes::from(value)));
        stores.set(store, pairs.to_vec(), limits()).await.unwrap();
        assert_exact(&stores, store).await;
        add("a", 1000).await.unwrap();
        add("b", 1).await.unwrap();
        let new = format!("new-{round}");
        add(&new, i64::MIN).await.unwrap();
        add(&new, i64::MAX).await.unwrap();
        assert_exact(&stores, store).await;
        set(&stores, store, "long", "+09223372036854775807")
            .await
            .unwrap();
        assert_eq!(add("long", 1).await, Err(KeyValueError::NotAnInteger));
        let kept = get(&stores, store, "long").await.unwrap().unwrap();
        assert_eq!(
            kept, "+09223372036854775807",
            "what was refused changes nothing"
        );
        let short = StoreLimits {
            value_bytes: 1,
            ..limits()
        };
        for key in ["absent", "b"] {
            let error = stores.increment(store, key.into(), 10, short).await;
            assert!(matches!(error, Err(KeyValueError::LimitExceeded(_))));
        }
        assert_exact(&stores, store).await;
        swap("swapped", None, "value").await.unwrap();
        swap("swapped", Some("value"), "").await.unwrap();
        swap("empty", Some(""), "no longer").await.unwrap();
        swap("empty", None, "lost").await.unwrap();
        assert_exact(&stores, store).await;
        let keys = ["a", "a", "nothing", "empty", "swapped", "swapped"];
        let some = keys[..2 + round].iter().map(|key| (*key).to_owned());
        stores.delete(store, some.collect()).await.unwrap();
        assert_exact(&stores, store).await;
    }
    let all = stores.list_keys(store, None, 100).await.unwrap().keys;
    stores.delete(store, all).await.unwrap();
    assert_eq!(stores.usage(store).await.unwrap(), Usage::default());
    assert_eq!(server.admin(&["DBSIZE"]).await, redis::Value::Int(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_callers_of_many_stores_lose_nothing() {
    const STORES: usize = 20;
    const CALLERS: usize = 5;
    const EACH: usize = 20;
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = Arc::new(server.stores());
    let ids: Vec<_> = (0..STORES).map(|_| StoreId::random()).collect();
    let callers = ids
        .iter()
        .flat_map(|id| (0..CALLERS).map(|caller| (*id, caller)));
    let tasks = callers.map(|(store, caller)| {
        let stores = stores.clone();
        tokio::spawn(async move {
            for index in 0..EACH {
                set(&stores, store, &format!("{caller}-{index}"), "v")
                    .await
                    .unwrap();
                stores
                    .increment(store, "sum".into(), 1, limits())
                    .await
                    .unwrap();
                swap_until_done(&*stores, store).await;
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let expected = (CALLERS * EACH).to_string();
    for store in ids {
        for key in ["sum", "swapped"] {
            let value = get(&stores, store, key).await.unwrap().unwrap();
            assert_eq!(value, expected, "{key}");
        }
        let usage = stores.usage(store).await.unwrap();
        assert_eq!(usage.keys as usize, CALLERS * EACH + 2);
    }
}

/// Adds 1 to a number by comparing and swapping it.
async fn swap_until_done(stores: &dyn KeyValue, store: StoreId) {
    let mut held: Option<Bytes> = None;
    loop {
        let number = held.as_ref().map_or(0, |text| {
            std::str::from_utf8(text).unwrap().parse::<u64>().unwrap()
        });
        let next = Bytes::from((number + 1).to_string());
        match stores
            .compare_and_swap(store, "swapped".into(), held, next, limits())
            .await
            .unwrap()
        {
            Swap::Done => return,
            Swap::Lost { current } => held = current,
        }
    }
}
