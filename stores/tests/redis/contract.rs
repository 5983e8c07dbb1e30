//! What the trait promises and a model does not show: sizes, limits, and many callers.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use shoal_stores::{
    KeyValue, KeyValueError, MAX_BYTES_PER_CALL, MAX_PAGE_BYTES, MAX_PAGE_KEYS, StoreId, Usage,
    ValueLimits, key_value::Swap,
};

use crate::{get, limits, redis_server::RedisServer, set};

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

    stores.erase(store).await.unwrap();
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
    let roomy = ValueLimits {
        key_bytes: 2 * MAX_PAGE_BYTES as u64,
        value_bytes: 1,
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
async fn what_is_too_much_for_one_call_is_refused_by_name() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = server.stores();
    let store = StoreId::random();
    let roomy = ValueLimits {
        key_bytes: 1024,
        value_bytes: MAX_BYTES_PER_CALL as u64,
    };
    let large = Bytes::from(vec![7; MAX_BYTES_PER_CALL - 1]);
    for key in ["a", "b"] {
        let pairs = vec![(key.to_owned(), large.clone())];
        stores.set(store, pairs, roomy).await.unwrap();
    }
    assert_eq!(get(&stores, store, "a").await.unwrap().unwrap(), large);
    let both = vec!["a".to_owned(), "b".to_owned()];
    let error = stores.get(store, both).await.unwrap_err();
    assert!(matches!(error, KeyValueError::LimitExceeded(_)), "{error}");
    assert!(error.to_string().contains("16777216"), "{error}");

    let many = stores.get(store, vec!["a".into(); 1001]).await.unwrap_err();
    assert!(many.to_string().contains("1000"), "{many}");
    let long = stores
        .set(store, vec![("k".repeat(1025), Bytes::new())], limits())
        .await;
    assert!(long.unwrap_err().to_string().contains("1024"));
    let large = Bytes::from(vec![0; 1024 * 1024 + 1]);
    let error = stores
        .set(store, vec![("k".into(), large)], limits())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("1048576"), "{error}");

    let short = ValueLimits {
        key_bytes: 10,
        value_bytes: 1,
    };
    set(&stores, store, "n", "9").await.unwrap();
    let error = stores.increment(store, "n".into(), 1, short).await;
    assert!(matches!(error, Err(KeyValueError::LimitExceeded(_))));
    assert_eq!(get(&stores, store, "n").await.unwrap().unwrap(), "9");
    let error = stores.increment(store, "new".into(), 10, short).await;
    assert!(matches!(error, Err(KeyValueError::LimitExceeded(_))));
    assert_eq!(get(&stores, store, "new").await.unwrap(), None);
    let keys = stores.list_keys(store, None, 10).await.unwrap().keys;
    assert_eq!(keys, ["a", "b", "n"]);
}

#[tokio::test]
async fn sums_are_exact_where_a_double_is_not() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let stores = server.stores();
    let store = StoreId::random();
    let add = |key: &str, delta| stores.increment(store, key.to_owned(), delta, limits());
    assert_eq!(add("n", 1 << 53).await, Ok(1 << 53));
    assert_eq!(add("n", 1).await, Ok((1 << 53) + 1));
    assert_eq!(add("max", i64::MAX).await, Ok(i64::MAX));
    assert_eq!(add("max", 1).await, Err(KeyValueError::NotAnInteger));
    assert_eq!(add("max", 0).await, Ok(i64::MAX));
    assert_eq!(add("max", i64::MIN).await, Ok(-1));
    assert_eq!(add("max", i64::MIN).await, Err(KeyValueError::NotAnInteger));
    // Every spelling that the other backends take.
    for (text, sum) in [("+007", 8), ("-0", 1), ("00", 1), ("-0001", 0)] {
        set(&stores, store, "text", text).await.unwrap();
        assert_eq!(add("text", 1).await, Ok(sum), "{text}");
    }
    for text in [
        "",
        " 1",
        "1 ",
        "1.0",
        "0x1",
        "1e3",
        "--1",
        "+",
        "1\0",
        "9223372036854775808",
    ] {
        set(&stores, store, "text", text).await.unwrap();
        assert_eq!(add("text", 1).await, Err(KeyValueError::NotAnInteger));
        let kept = get(&stores, store, "text").await.unwrap().unwrap();
        assert_eq!(kept, text, "a value that is no integer stays");
    }
    set(&stores, store, "text", "+09223372036854775807")
        .await
        .unwrap();
    assert_eq!(add("text", 1).await, Err(KeyValueError::NotAnInteger));
    let kept = get(&stores, store, "text").await.unwrap().unwrap();
    assert_eq!(kept, "+09223372036854775807");
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
