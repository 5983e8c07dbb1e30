//! What the trait promises, beyond what one caller sees: on every backend.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod backend;

use std::sync::Arc;

use backend::{Backend, Opened};
use bytes::Bytes;
use futures::future::join_all;
use shoal_stores::{
    KeyValue, KeyValueError, MAX_BYTES_PER_CALL, MAX_KEYS_PER_CALL, MAX_PAGE_BYTES, MAX_PAGE_KEYS,
    StoreId, StoreLimits, Usage, key_value::Swap,
};
use tokio::runtime::Runtime;

on_every_backend!(
    every_call_does_what_it_promises,
    concurrent_increments_and_swaps_lose_nothing,
    many_keys_are_set_and_deleted_as_a_whole,
    integers_are_decimal_and_of_64_bits,
    limits_are_named_and_a_full_call_fits,
    a_large_store_is_listed_in_pages,
    a_store_is_counted_and_purged_alone,
    limits_of_a_store_are_exact_under_many_writers,
    a_store_over_its_limits_may_only_shrink,
);

fn limits() -> StoreLimits {
    StoreLimits::default()
}

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn names(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// A Store that is empty, its id, and what keeps it open.
async fn one(backend: &dyn Backend) -> (Arc<dyn KeyValue>, StoreId, Box<dyn Opened>) {
    let id = StoreId::random();
    let opened = backend.open(&[id]).await;
    (opened.of(id), id, opened)
}

async fn get(stores: &dyn KeyValue, store: StoreId, key: &str) -> Option<Bytes> {
    stores.get(store, names(&[key])).await.unwrap().remove(0)
}

fn every_call_does_what_it_promises(runtime: &Runtime, backend: &dyn Backend) {
    runtime.block_on(async {
        let (stores, store, _opened) = one(backend).await;
        let pairs = vec![
            ("a".into(), text("lost")),
            ("a".into(), text("1")),
            ("b\0".into(), Bytes::new()),
            ("é".into(), text("x")),
        ];
        stores.set(store, pairs, limits()).await.unwrap();
        let values = stores
            .get(store, names(&["é", "nothing", "a", "b\0", "a"]))
            .await
            .unwrap();
        let (x, one) = (Some(text("x")), Some(text("1")));
        assert_eq!(values, [x, None, one.clone(), Some(Bytes::new()), one]);
        assert!(stores.exists(store, "b\0".into()).await.unwrap());
        assert!(!stores.exists(store, "b".into()).await.unwrap());

        let page = stores.list_keys(store, None, 2).await.unwrap();
        assert_eq!((page.keys, page.more), (names(&["a", "b\0"]), true));
        let page = stores
            .list_keys(store, Some("b\0".into()), 2)
            .await
            .unwrap();
        assert_eq!((page.keys, page.more), (names(&["é"]), false));

        assert_eq!(
            stores.increment(store, "a".into(), 41, limits()).await,
            Ok(42)
        );
        let error = stores.increment(store, "é".into(), 1, limits()).await;
        assert_eq!(error, Err(KeyValueError::NotAnInteger));

        let swap = |expected, value| {
            stores.compare_and_swap(store, "new".into(), expected, value, limits())
        };
        assert_eq!(
            swap(Some(text("x")), text("first")).await,
            Ok(Swap::Lost { current: None })
        );
        assert_eq!(swap(None, text("first")).await, Ok(Swap::Done));
        let lost = Swap::Lost {
            current: Some(text("first")),
        };
        assert_eq!(swap(None, text("second")).await, Ok(lost));
        assert_eq!(
            swap(Some(text("first")), text("second")).await,
            Ok(Swap::Done)
        );

        stores
            .delete(store, names(&["a", "nothing", "new"]))
            .await
            .unwrap();
        let page = stores.list_keys(store, None, 9).await.unwrap();
        assert_eq!((page.keys, page.more), (names(&["b\0", "é"]), false));
        stores.set(store, Vec::new(), limits()).await.unwrap();
        stores.delete(store, Vec::new()).await.unwrap();
        assert_eq!(stores.get(store, Vec::new()).await.unwrap(), []);
    });
}

fn concurrent_increments_and_swaps_lose_nothing(runtime: &Runtime, backend: &dyn Backend) {
    runtime.block_on(async {
        let (stores, store, _opened) = one(backend).await;
        join_all((0..50).map(|_| {
            let stores = stores.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    stores
                        .increment(store, "sum".into(), 1, limits())
                        .await
                        .unwrap();
                }
                // Adds 1 by compare-and-swap, as often as it takes.
                let mut current = get(&*stores, store, "swapped").await;
                loop {
                    let number: i64 = current.as_ref().map_or(0, |text| {
                        std::str::from_utf8(text).unwrap().parse().unwrap()
                    });
                    let next = Bytes::from((number + 1).to_string());
                    let key = "swapped".to_owned();
                    let swap = stores.compare_and_swap(store, key, current, next, limits());
                    match swap.await.unwrap() {
                        Swap::Done => break,
                        Swap::Lost { current: now } => current = now,
                    }
                }
            })
        }))
        .await
        .into_iter()
        .for_each(|task| task.unwrap());
        assert_eq!(get(&*stores, store, "sum").await.unwrap(), "500");
        assert_eq!(get(&*stores, store, "swapped").await.unwrap(), "50");
    });
}

fn many_keys_are_set_and_deleted_as_a_whole(runtime: &Runtime, backend: &dyn Backend) {
    const KEYS: [&str; 4] = ["a", "b", "c", "d"];
    runtime.block_on(async {
        let (stores, store, _opened) = one(backend).await;
        let set = async |writer: usize| {
            for round in 0..40 {
                // In another order each time, and never all at once by one statement's luck.
                let mut pairs: Vec<_> = KEYS
                    .map(|key| (key.to_owned(), text(&format!("{writer}-{round}"))))
                    .to_vec();
                pairs.rotate_left((writer + round) % KEYS.len());
                stores.set(store, pairs, limits()).await.unwrap();
            }
        };
        let delete = async |turn: usize| {
            for _ in 0..40 {
                let mut keys = names(&KEYS);
                keys.rotate_left(turn % KEYS.len());
                stores.delete(store, keys).await.unwrap();
            }
        };
        let read = async || {
            for _ in 0..80 {
                let values = stores.get(store, names(&KEYS)).await.unwrap();
                assert!(values.iter().all(|value| *value == values[0]), "{values:?}");
            }
        };
        tokio::join!(
            join_all((0..3).map(set)),
            join_all((0..2).map(delete)),
            join_all((0..2).map(|_| read())),
        );
    });
}

fn integers_are_decimal_and_of_64_bits(runtime: &Runtime, backend: &dyn Backend) {
    runtime.block_on(async {
        let (stores, store, _opened) = one(backend).await;
        let put = async |held: &[u8]| {
            let pair = ("n".to_owned(), Bytes::copy_from_slice(held));
            stores.set(store, vec![pair], limits()).await.unwrap();
        };
        let long = format!("{}7", "0".repeat(500));
        for (held, delta, sum) in [
            ("0", 0, 0),
            ("+41", 1, 42),
            ("-0", -1, -1),
            ("007", 1, 8),
            (long.as_str(), 1, 8),
            ("9223372036854775806", 1, i64::MAX),
            ("-9223372036854775807", -1, i64::MIN),
            ("-9223372036854775808", i64::MAX, -1),
        ] {
            put(held.as_bytes()).await;
            assert_eq!(
                stores.increment(store, "n".into(), delta, limits()).await,
                Ok(sum)
            );
            assert_eq!(get(&*stores, store, "n").await.unwrap(), sum.to_string());
        }
        for (held, delta) in [
            (&b""[..], 1),
            (b"+", 1),
            (b" 1", 1),
            (b"1 ", 1),
            (b"1\n", 1),
            (b"1_000", 1),
            (b"0x10", 1),
            (b"1e3", 1),
            (b"1.0", 1),
            (b"\\061", 1),
            (b"1\0", 1),
            (b"\xff\xfe", 1),
            ("١".as_bytes(), 1),
            (b"9223372036854775807", 1),
            (b"-9223372036854775808", -1),
            (b"9223372036854775808", -1),
            (b"99999999999999999999", -1),
        ] {
            put(held).await;
            let result = stores.increment(store, "n".into(), delta, limits()).await;
            assert_eq!(result, Err(KeyValueError::NotAnInteger), "{held:?}");
            assert_eq!(get(&*stores, store, "n").await.unwrap(), held);
        }
        for delta in [i64::MIN, i64::MAX] {
            let key = format!("new {delta}");
            assert_eq!(
                stores.increment(store, key, delta, limits()).await,
                Ok(delta)
            );
        }
        let two = StoreLimits {
            value_bytes: 2,
            ..limits()
        };
        assert_eq!(stores.increment(store, "two".into(), 98, two).await, Ok(98));
        assert_eq!(stores.increment(store, "two".into(), 1, two).await, Ok(99));
        let error = stores
            .increment(store, "two".into(), 1, two)
            .await
            .unwrap_err();
        assert!(matches!(error, KeyValueError::LimitExceeded(_)), "{error}");
        assert_eq!(
            stores.increment(store, "two".into(), -100, two).await,
            Ok(-1)
        );
    });
}

fn limits_are_named_and_a_full_call_fits(runtime: &Runtime, backend: &dyn Backend) {
    runtime.block_on(async {
        let (stores, store, _opened) = one(backend).await;
        let roomy = StoreLimits {
            key_bytes: 1024,
            value_bytes: MAX_BYTES_PER_CALL as u64,
            ..limits()
        };
        let key = "k".repeat(1024);
        let value = Bytes::from(vec![1; MAX_BYTES_PER_CALL - 1024]);
        stores
            .set(store, vec![(key.clone(), value.clone())], roomy)
            .await
            .unwrap();
        assert_eq!(
            stores.get(store, vec![key.clone()]).await.unwrap(),
            [Some(value)]
        );

        let refused = |result: Result<(), KeyValueError>, limit: &str| match result {
            Err(KeyValueError::LimitExceeded(text)) => assert!(text.contains(limit), "{text}"),
            other => panic!("{other:?} beyond the limit of {limit}"),
        };
        let more = vec![("more".into(), Bytes::from(vec![2; 2048]))];
        stores.set(store, more.clone(), roomy).await.unwrap();
        let both = stores.get(store, vec![key.clone(), "more".into()]).await;
        refused(both.map(|_| ()), &MAX_BYTES_PER_CALL.to_string());
        let twice = stores.get(store, vec![key.clone(), key.clone()]).await;
        refused(twice.map(|_| ()), &MAX_BYTES_PER_CALL.to_string());

        let set = |pairs, limits| stores.set(store, pairs, limits);
        let small = StoreLimits {
            key_bytes: 8,
            value_bytes: 9,
            ..limits()
        };
        refused(
            set(vec![("123456789".into(), Bytes::new())], small).await,
            "8",
        );
        refused(
            set(vec![(String::new(), Bytes::new())], small).await,
            "at least one byte",
        );
        refused(
            set(vec![("k".into(), text("1234567890"))], small).await,
            "9",
        );
        let many = (0..=MAX_KEYS_PER_CALL).map(|n| (n.to_string(), Bytes::new()));
        refused(set(many.collect(), limits()).await, "1000");
        let swap = stores.compare_and_swap(store, "k".into(), None, text("1234567890"), small);
        refused(swap.await.map(|_| ()), "9");
        let add = stores.increment(store, "123456789".into(), 1, small);
        refused(add.await.map(|_| ()), "8");
        // A refused call changed nothing.
        let keys = stores.list_keys(store, None, 10).await.unwrap().keys;
        assert_eq!(keys, [key, "more".to_owned()]);
    });
}

fn a_large_store_is_listed_in_pages(runtime: &Runtime, backend: &dyn Backend) {
    runtime.block_on(async {
        let (stores, store, _opened) = one(backend).await;
        let roomy = StoreLimits {
            key_bytes: 2048,
            ..limits()
        };
        // Long keys fill a page before they are a thousand, short ones do not.
        let long = (0..1500).map(|n| format!("long {n:06} {}", "x".repeat(2000)));
        let mut expected: Vec<String> = long.chain((0..1500).map(|n| format!("{n}"))).collect();
        for some in expected.chunks(500) {
            let pairs = some.iter().map(|key| (key.clone(), Bytes::new())).collect();
            stores.set(store, pairs, roomy).await.unwrap();
        }
        expected.sort();
        let (mut keys, mut after, mut by_bytes, mut by_count) = (Vec::new(), None, 0, 0);
        loop {
            let page = stores.list_keys(store, after, u32::MAX).await.unwrap();
            assert!(page.keys.len() <= MAX_PAGE_KEYS as usize);
            assert!(page.keys.iter().map(String::len).sum::<usize>() <= MAX_PAGE_BYTES);
            by_count += usize::from(page.more && page.keys.len() == MAX_PAGE_KEYS as usize);
            by_bytes += usize::from(page.more && page.keys.len() < MAX_PAGE_KEYS as usize);
            after = page.keys.last().cloned();
            keys.extend(page.keys);
            if !page.more {
                break;
            }
        }
        assert!(
            keys == expected,
            "{} of {} keys",
            keys.len(),
            expected.len()
        );
        assert!(by_bytes > 0 && by_count > 0);
    });
}

fn a_store_is_counted_and_purged_alone(runtime: &Runtime, backend: &dyn Backend) {
    runtime.block_on(async {
        let (id, other) = (StoreId::random(), StoreId::random());
        let opened = backend.open(&[id, other]).await;
        let (stores, operator) = (opened.of(id), opened.for_operator(id));
        assert_eq!(operator.usage(id).await, Ok(Usage::default()));
        // More than one step of any backend, by keys and by bytes.
        let large = Bytes::from(vec![7; 300_000]);
        let mut bytes = 0;
        for some in 0..6 {
            let small = (0..600).map(|n| (format!("{some}/{n}"), text("é")));
            let pairs: Vec<_> = small.chain([(some.to_string(), large.clone())]).collect();
            bytes += pairs.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>();
            stores.set(id, pairs, limits()).await.unwrap();
        }
        let neighbour = vec![("key".to_owned(), text("value"))];
        opened
            .of(other)
            .set(other, neighbour, limits())
            .await
            .unwrap();
        let expected = Usage {
            keys: 3606,
            bytes: bytes as u64,
        };
        assert_eq!(operator.usage(id).await, Ok(expected));

        operator.purge(id).await.unwrap();
        operator.purge(id).await.unwrap();
        assert_eq!(operator.usage(id).await, Ok(Usage::default()));
        let page = stores.list_keys(id, None, 9).await.unwrap();
        assert_eq!((page.keys, page.more), (Vec::new(), false));
        assert_eq!(get(&*stores, id, "0/0").await, None);
        let kept = Usage { keys: 1, bytes: 8 };
        assert_eq!(operator.usage(other).await, Ok(kept));
        stores
            .set(id, vec![("0".into(), text("again"))], limits())
            .await
            .unwrap();
        assert_eq!(operator.usage(id).await, Ok(Usage { keys: 1, bytes: 6 }));
    });
}

/// Fails unless every error is a refusal that names `limit`; gives how many succeeded.
fn done_or_refused<T>(results: &[Result<T, KeyValueError>], limit: &str) -> usize {
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        match error {
            KeyValueError::LimitExceeded(text) => assert!(text.contains(limit), "{text}"),
            other => panic!("{other}"),
        }
    }
    results.iter().filter(|result| result.is_ok()).count()
}

fn limits_of_a_store_are_exact_under_many_writers(runtime: &Runtime, backend: &dyn Backend) {
    runtime.block_on(async {
        let id = StoreId::random();
        let opened = backend.open(&[id]).await;
        let (stores, operator) = (opened.of(id), opened.for_operator(id));
        let keys = StoreLimits {
            keys: Some(20),
            ..limits()
        };
        // Of each kind of write as many, and more than there is room for.
        let writes = (0..45).map(|n| {
            let stores = stores.clone();
            tokio::spawn(async move {
                let key = format!("key {n:02}");
                match n % 3 {
                    0 => stores.set(id, vec![(key, text("1"))], keys).await,
                    1 => stores.increment(id, key, 1, keys).await.map(drop),
                    _ => stores
                        .compare_and_swap(id, key, None, text("1"), keys)
                        .await
                        .map(drop),
                }
            })
        });
        let results: Vec<_> = join_all(writes)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(done_or_refused(&results, "limit of 20"), 20);
        let full = Usage {
            keys: 20,
            bytes: 20 * 7,
        };
        assert_eq!(operator.usage(id).await, Ok(full));

        // The same values grow: 12 of them by 5 bytes are all that fit.
        let bytes = StoreLimits {
            bytes: Some(20 * 7 + 64),
            ..limits()
        };
        let held = stores.list_keys(id, None, 100).await.unwrap().keys;
        let writes = held.iter().cloned().map(|key| {
            let stores = stores.clone();
            tokio::spawn(async move { stores.set(id, vec![(key, text("123456"))], bytes).await })
        });
        let results: Vec<_> = join_all(writes)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(done_or_refused(&results, "limit of 204"), 12);
        // While some go and some come, nothing is lost to the count, nor gained.
        let changes = held.iter().cloned().map(|key| {
            let stores = stores.clone();
            tokio::spawn(async move {
                for round in 0..10 {
                    stores.delete(id, vec![key.clone()]).await.unwrap();
                    let value = text(&"x".repeat(round));
                    let pairs = vec![(key.clone(), value), ("common".into(), text("y"))];
                    match stores.set(id, pairs, bytes).await {
                        Ok(()) | Err(KeyValueError::LimitExceeded(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        });
        join_all(changes)
            .await
            .into_iter()
            .for_each(|task| task.unwrap());
        let left = stores.list_keys(id, None, 100).await.unwrap().keys;
        let values = stores.get(id, left.clone()).await.unwrap();
        let bytes: usize = left.iter().map(String::len).sum::<usize>()
            + values.iter().flatten().map(Bytes::len).sum::<usize>();
        let counted = Usage {
            keys: left.len() as u64,
            bytes: bytes as u64,
        };
        assert_eq!(operator.usage(id).await, Ok(counted));
        assert!(counted.bytes <= 204);
    });
}

fn a_store_over_its_limits_may_only_shrink(runtime: &Runtime, backend: &dyn Backend) {
    runtime.block_on(async {
        let (stores, store, _opened) = one(backend).await;
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, Bytes)> {
            let pairs = pairs.iter();
            pairs
                .map(|(key, value)| ((*key).to_owned(), text(value)))
                .collect()
        };
        let start = pairs(&[("a", "1111"), ("b", "2222"), ("c", "3333")]);
        stores.set(store, start, limits()).await.unwrap();
        // The class got narrower since.
        let narrow = StoreLimits {
            keys: Some(2),
            bytes: Some(10),
            ..limits()
        };
        let set = |given: &[(&str, &str)]| stores.set(store, pairs(given), narrow);
        let refused = |result: Result<(), KeyValueError>, limit| {
            assert_eq!(done_or_refused(&[result], limit), 0, "{limit}");
        };
        refused(
            set(&[("d", "")]).await,
            "4 keys in one store are more than the limit of 2",
        );
        refused(
            set(&[("a", "11111")]).await,
            "16 bytes of keys and values in one store are more than the limit of 10",
        );
        let add = stores.increment(store, "a".into(), 9000, narrow).await;
        refused(add.map(drop), "limit of 10");
        let add = stores.increment(store, "new".into(), 1, narrow).await;
        refused(add.map(drop), "limit of 2");
        let swap = stores
            .compare_and_swap(store, "a".into(), Some(text("1111")), text("11111"), narrow)
            .await;
        refused(swap.map(drop), "limit of 10");
        assert_eq!(get(&*stores, store, "a").await.unwrap(), "1111");
        assert_eq!(get(&*stores, store, "new").await, None);

        // As large, or smaller, or one larger in the room that another gives.
        set(&[("a", "9999")]).await.unwrap();
        set(&[("a", "99999"), ("b", "")]).await.unwrap();
        assert_eq!(
            stores.increment(store, "a".into(), -99_990, narrow).await,
            Ok(9)
        );
        refused(set(&[("d", "")]).await, "limit of 2");
        stores.delete(store, names(&["b", "c"])).await.unwrap();
        set(&[("d", "1234567")]).await.unwrap();
        refused(set(&[("d", "12345678")]).await, "limit of 10");
        let lost = stores
            .compare_and_swap(store, "e".into(), Some(text("no")), text("x"), narrow)
            .await;
        assert_eq!(lost, Ok(Swap::Lost { current: None }));
        // Of pairs of one key the last counts, for the limit as well.
        set(&[("d", "123456789"), ("d", "1")]).await.unwrap();
    });
}
