//! Every backend against a map in memory that does what the trait promises.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod backend;

use std::collections::BTreeMap;

use backend::{Backend, Opened};
use bytes::Bytes;
use proptest::{prelude::*, test_runner::TestRunner};
use shoal_stores::{KeyValue, KeyValueError, StoreId, StoreLimits, Usage, key_value::Swap};
use tokio::runtime::Runtime;

const LIMITS: StoreLimits = StoreLimits {
    key_bytes: 12,
    value_bytes: 20,
    keys: None,
    bytes: None,
};

/// A Store as it should be, and the limits that its class has now.
struct Model {
    held: Held,
    limits: StoreLimits,
}

type Held = BTreeMap<String, Vec<u8>>;

impl Model {
    fn new() -> Self {
        Self {
            held: Held::new(),
            limits: LIMITS,
        }
    }

    /// Whether the Store may become `after`: it grows only within its limits.
    fn may_become(&self, after: &Held) -> bool {
        let grows = |now: u64, then: u64, limit: Option<u64>| {
            then > now && limit.is_some_and(|limit| then > limit)
        };
        let (now, then) = (usage(&self.held), usage(after));
        !grows(now.keys, then.keys, self.limits.keys)
            && !grows(now.bytes, then.bytes, self.limits.bytes)
    }
}

fn usage(held: &Held) -> Usage {
    let sizes = held.iter().map(|(key, value)| key.len() + value.len());
    Usage {
        keys: held.len() as u64,
        bytes: sizes.sum::<usize>() as u64,
    }
}

#[derive(Clone, Debug)]
enum Step {
    Set(Vec<(String, Vec<u8>)>),
    Delete(Vec<String>),
    Get(Vec<String>),
    Exists(String),
    List {
        page: u32,
    },
    Increment(String, i64),
    Swap {
        key: String,
        expect_current: bool,
        value: Vec<u8>,
    },
    /// The class has other limits from now on.
    Limit(Option<u64>, Option<u64>),
    Purge,
    Reopen,
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[ab]{1,3}",
        prop::sample::select(vec![
            "a\0",
            "\0",
            "a/b",
            "../a",
            "a%",
            "_",
            "*",
            "?",
            "[a]",
            "é",
            "e\u{301}",
            "É",
            "A",
            " a",
            "a ",
            "'; --",
            "\u{10ffff}",
            "a very long key that is over its limit",
        ])
        .prop_map(str::to_owned),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        (-20i64..20).prop_map(|number| number.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..24),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec((key(), value()), 0..4).prop_map(Step::Set),
        2 => prop::collection::vec(key(), 0..4).prop_map(Step::Delete),
        3 => prop::collection::vec(key(), 0..4).prop_map(Step::Get),
        1 => key().prop_map(Step::Exists),
        2 => (1u32..6).prop_map(|page| Step::List { page }),
        3 => (key(), prop_oneof![any::<i64>(), -3i64..3])
            .prop_map(|(key, delta)| Step::Increment(key, delta)),
        3 => (key(), any::<bool>(), value())
            .prop_map(|(key, expect_current, value)| Step::Swap { key, expect_current, value }),
        2 => (prop::option::of(1u64..6), prop::option::of(1u64..60))
            .prop_map(|(keys, bytes)| Step::Limit(keys, bytes)),
        1 => Just(Step::Purge),
        1 => Just(Step::Reopen),
    ]
}

fn may_write(key: &str, value: &[u8]) -> bool {
    (1..=12).contains(&key.len()) && value.len() <= 20
}

/// Every key of a Store, a page at a time.
async fn all_keys(stores: &dyn KeyValue, store: StoreId, page: u32) -> Vec<String> {
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let found = stores.list_keys(store, after, page).await.unwrap();
        assert!(found.keys.len() <= page as usize);
        assert!(!found.more || !found.keys.is_empty());
        after = found.keys.last().cloned();
        keys.extend(found.keys);
        if !found.more {
            return keys;
        }
    }
}

async fn take(opened: &dyn Opened, store: StoreId, model: &mut Model, step: Step) {
    let stores = &*opened.of(store);
    let limits = model.limits;
    match step {
        Step::Limit(keys, bytes) => {
            model.limits = StoreLimits {
                keys,
                bytes,
                ..LIMITS
            };
        }
        Step::Purge => {
            opened.for_operator(store).purge(store).await.unwrap();
            model.held.clear();
        }
        Step::Set(pairs) => {
            let mut after = model.held.clone();
            after.extend(pairs.iter().cloned());
            let allowed =
                pairs.iter().all(|(key, value)| may_write(key, value)) && model.may_become(&after);
            let sent = pairs
                .iter()
                .map(|(k, v)| (k.clone(), Bytes::from(v.clone())))
                .collect();
            let result = stores.set(store, sent, limits).await;
            if allowed {
                assert_eq!(result, Ok(()));
                model.held = after;
            } else {
                assert!(
                    matches!(result, Err(KeyValueError::LimitExceeded(_))),
                    "{result:?}"
                );
            }
        }
        Step::Delete(keys) => {
            keys.iter().for_each(|key| drop(model.held.remove(key)));
            stores.delete(store, keys).await.unwrap();
        }
        Step::Get(keys) => {
            let expected: Vec<_> = keys
                .iter()
                .map(|key| model.held.get(key).cloned().map(Bytes::from))
                .collect();
            assert_eq!(stores.get(store, keys).await.unwrap(), expected);
        }
        Step::Exists(key) => {
            let expected = model.held.contains_key(&key);
            assert_eq!(stores.exists(store, key).await.unwrap(), expected);
        }
        Step::List { page } => {
            let expected: Vec<_> = model.held.keys().cloned().collect();
            assert_eq!(all_keys(stores, store, page).await, expected);
        }
        Step::Increment(key, delta) => {
            let old = match model.held.get(&key) {
                None => Some(0),
                Some(value) => std::str::from_utf8(value).ok().and_then(|v| v.parse().ok()),
            };
            let new = old.and_then(|old: i64| old.checked_add(delta));
            let result = stores.increment(store, key.clone(), delta, limits).await;
            match new {
                _ if key.is_empty() || key.len() > 12 => {
                    assert!(matches!(result, Err(KeyValueError::LimitExceeded(_))));
                }
                None => assert_eq!(result, Err(KeyValueError::NotAnInteger)),
                Some(new) => {
                    let mut after = model.held.clone();
                    after.insert(key, new.to_string().into_bytes());
                    if model.may_become(&after) {
                        assert_eq!(result, Ok(new));
                        model.held = after;
                    } else {
                        assert!(matches!(result, Err(KeyValueError::LimitExceeded(_))));
                    }
                }
            }
        }
        Step::Swap {
            key,
            expect_current,
            value,
        } => {
            let current = model.held.get(&key).cloned().map(Bytes::from);
            let expected = if expect_current {
                current.clone()
            } else {
                Some(Bytes::from_static(b"no such"))
            };
            let sent = Bytes::from(value.clone());
            let result = stores
                .compare_and_swap(store, key.clone(), expected.clone(), sent, limits)
                .await;
            let mut after = model.held.clone();
            after.insert(key.clone(), value.clone());
            if !may_write(&key, &value) {
                assert!(matches!(result, Err(KeyValueError::LimitExceeded(_))));
            } else if expected != current {
                assert_eq!(result, Ok(Swap::Lost { current }));
            } else if model.may_become(&after) {
                assert_eq!(result, Ok(Swap::Done));
                model.held = after;
            } else {
                assert!(matches!(result, Err(KeyValueError::LimitExceeded(_))));
            }
        }
        Step::Reopen => {}
    }
}

on_every_backend!(every_sequence_of_calls_does_what_the_trait_promises);

fn every_sequence_of_calls_does_what_the_trait_promises(runtime: &Runtime, backend: &dyn Backend) {
    let config = ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let steps = prop::collection::vec((any::<bool>(), step()), 1..40);
    TestRunner::new(config)
        .run(&steps, |steps| {
            runtime.block_on(take_all(backend, steps));
            Ok(())
        })
        .unwrap();
}

async fn take_all(backend: &dyn Backend, steps: Vec<(bool, Step)>) {
    // Two Stores in one place: what is done to one never shows in the other.
    let ids = [StoreId::random(), StoreId::random()];
    let mut models = [Model::new(), Model::new()];
    let mut opened = backend.open(&ids).await;
    for (second, step) in steps {
        if matches!(step, Step::Reopen) {
            opened.reopen().await;
        }
        let index = usize::from(second);
        take(&*opened, ids[index], &mut models[index], step).await;
    }
    for (id, model) in ids.into_iter().zip(&models) {
        let expected: Vec<_> = model.held.keys().cloned().collect();
        assert_eq!(all_keys(&*opened.of(id), id, 1000).await, expected);
        let counted = opened.for_operator(id).usage(id).await;
        assert_eq!(counted, Ok(usage(&model.held)));
    }
}
