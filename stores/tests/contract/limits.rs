//! Limits are named, exact, and never in the way of less.

use bytes::Bytes;
use futures::future::join_all;
use shoal_stores::{
    KeyValueError, MAX_BYTES_PER_CALL, MAX_KEYS_PER_CALL, StoreId, StoreLimits, Usage,
    key_value::Swap,
};
use tokio::runtime::Runtime;

use crate::{backend::Backend, get, limits, names, on_every_backend, one, text};

on_every_backend!(
    limits_are_named_and_a_full_call_fits,
    limits_of_a_store_are_exact_under_many_writers,
    a_store_over_its_limits_may_only_shrink,
);

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
