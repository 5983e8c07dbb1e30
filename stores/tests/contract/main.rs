//! What the trait promises, beyond what one caller sees: on every backend.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../backend/mod.rs"]
mod backend;
mod limits;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use backend::{Backend, Opened};
use bytes::Bytes;
use futures::future::join_all;
use shoal_stores::{
    KeyValue, KeyValueError, MAX_PAGE_BYTES, MAX_PAGE_KEYS, StoreId, StoreLimits, Usage,
    key_value::Swap,
};
use tokio::{runtime::Runtime, task::yield_now};

on_every_backend!(
    every_call_does_what_it_promises,
    concurrent_increments_and_swaps_lose_nothing,
    a_set_beside_increments_and_swaps_is_never_lost,
    many_keys_are_set_and_deleted_as_a_whole,
    integers_are_decimal_and_of_64_bits,
    a_large_store_is_listed_in_pages,
    a_store_is_counted_and_purged_alone,
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

/// What was set stays until something replaces it that has seen it: a sum or a swap keeps the round of what it
/// replaces.
fn a_set_beside_increments_and_swaps_is_never_lost(runtime: &Runtime, backend: &dyn Backend) {
    const ROUND: i64 = 1_000_000;
    const ROUNDS: i64 = 60;
    runtime.block_on(async {
        let (stores, store, _opened) = one(backend).await;
        let is_over = AtomicBool::new(false);
        let set = async |key: &str, number: i64| {
            let pair = (key.to_owned(), Bytes::from(number.to_string()));
            stores.set(store, vec![pair], limits()).await.unwrap();
        };
        let number = async |key: &str| -> i64 {
            let value = get(&*stores, store, key).await.unwrap();
            std::str::from_utf8(&value).unwrap().parse().unwrap()
        };
        let increment = async || {
            while !is_over.load(Ordering::Relaxed) {
                let sum = stores.increment(store, "sum".into(), 1, limits());
                sum.await.unwrap();
                yield_now().await;
            }
        };
        let swap = async || {
            while !is_over.load(Ordering::Relaxed) {
                let held = number("swapped").await;
                let [held, next] = [held, held + 1].map(|n| Bytes::from(n.to_string()));
                let key = "swapped".to_owned();
                let swap = stores.compare_and_swap(store, key, Some(held), next, limits());
                swap.await.unwrap();
                yield_now().await;
            }
        };
        let set_all = async || {
            for round in 1..=ROUNDS {
                // Now as long as what is replaced, now not.
                let round = if round % 7 == 0 { round * 100 } else { round };
                for key in ["sum", "swapped"] {
                    set(key, round * ROUND).await;
                    let seen = number(key).await / ROUND;
                    assert_eq!(seen, round, "{key}");
                }
            }
            is_over.store(true, Ordering::Relaxed);
        };
        set("sum", 0).await;
        set("swapped", 0).await;
        tokio::join!(
            set_all(),
            join_all((0..3).map(|_| increment())),
            join_all((0..3).map(|_| swap())),
        );
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
        // Whoever looks at such a text more than once at each of its bytes is busy for hours.
        let zeros = "0".repeat((1 << 20) - 1);
        let (largest, nearly) = (format!("{zeros}7"), format!("{zeros}x"));
        for (held, delta, sum) in [
            ("0", 0, 0),
            ("+41", 1, 42),
            ("-0", -1, -1),
            ("007", 1, 8),
            (long.as_str(), 1, 8),
            (largest.as_str(), 1, 8),
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
            (nearly.as_bytes(), 1),
        ] {
            put(held).await;
            let result = stores.increment(store, "n".into(), delta, limits()).await;
            let shown = String::from_utf8_lossy(&held[..held.len().min(40)]);
            assert_eq!(result, Err(KeyValueError::NotAnInteger), "{shown}");
            assert!(get(&*stores, store, "n").await.unwrap() == held, "{shown}");
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
