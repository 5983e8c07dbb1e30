//! The Stores of one lock.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
};

use bytes::Bytes;

use super::ledger::Ledger;
use crate::{
    KeyValueError, StoreId, StoreLimits, Usage,
    key_value::KeyPage,
    limits::MAX_PAGE_BYTES,
    quota::{self, Change},
};

/// What a key costs beside its bytes and its value's: its place in the map, two allocations.
const ENTRY_BYTES: u64 = 128;
/// What a Store costs that holds anything.
const STORE_BYTES: u64 = 256;

/// See the module. Text in Rust is ordered by its bytes, as listings are.
#[derive(Default)]
pub(crate) struct Shelf {
    stores: HashMap<StoreId, Held>,
}

/// What one Store holds.
#[derive(Default)]
struct Held {
    keys: BTreeMap<String, Bytes>,
    usage: Usage,
}

fn cost(key: &str, value: &Bytes) -> u64 {
    (key.len() + value.len()) as u64 + ENTRY_BYTES
}

impl Shelf {
    pub(crate) fn value(&self, store: StoreId, key: &str) -> Option<Bytes> {
        self.stores.get(&store)?.keys.get(key).cloned()
    }

    pub(crate) fn get(&self, store: StoreId, keys: &[String]) -> Vec<Option<Bytes>> {
        keys.iter().map(|key| self.value(store, key)).collect()
    }

    /// Sets all pairs, or none where `limits` or `ledger` have no room.
    pub(crate) fn set(
        &mut self,
        store: StoreId,
        pairs: Vec<(String, Bytes)>,
        limits: StoreLimits,
        ledger: &Ledger,
    ) -> Result<(), KeyValueError> {
        if pairs.is_empty() {
            return Ok(());
        }
        // A value may be a piece of a larger buffer, which it would keep alive.
        let pairs: BTreeMap<_, _> = pairs
            .into_iter()
            .map(|(key, value)| (key, Bytes::copy_from_slice(&value)))
            .collect();
        let held = self.stores.get(&store);
        let usage = held.map_or_else(Usage::default, |held| held.usage);
        let mut change = Change::default();
        let mut added = if held.is_none() { STORE_BYTES } else { 0 };
        let mut replaced = 0;
        for (key, value) in &pairs {
            let old = held.and_then(|held| held.keys.get(key));
            added += cost(key, value);
            replaced += old.map_or(0, |old| cost(key, old));
            change = change.and(Change::of(
                key.len(),
                old.map(Bytes::len),
                Some(value.len()),
            ));
        }
        quota::check(usage, change, limits)?;
        if added > replaced {
            ledger.take(added - replaced)?;
        } else {
            ledger.give_back(replaced - added);
        }
        let held = self.stores.entry(store).or_default();
        held.keys.extend(pairs);
        held.usage = usage.after(change);
        Ok(())
    }

    pub(crate) fn delete(&mut self, store: StoreId, keys: &[String], ledger: &Ledger) {
        let Some(held) = self.stores.get_mut(&store) else {
            return;
        };
        for key in keys {
            if let Some(value) = held.keys.remove(key) {
                let change = Change::of(key.len(), Some(value.len()), None);
                held.usage = held.usage.after(change);
                ledger.give_back(cost(key, &value));
            }
        }
        if held.keys.is_empty() {
            self.stores.remove(&store);
            ledger.give_back(STORE_BYTES);
        }
    }

    /// Takes a Store's keys out of sight. They count until they are freed.
    pub(crate) fn take<'a>(&mut self, store: StoreId, ledger: &'a Ledger) -> Taken<'a> {
        let held = self.stores.remove(&store);
        Taken {
            cost: held.as_ref().map_or(0, |_| STORE_BYTES),
            keys: held.unwrap_or_default().keys,
            ledger,
        }
    }

    pub(crate) fn list(&self, store: StoreId, after: Option<&str>, limit: u32) -> KeyPage {
        let mut page = KeyPage::default();
        let Some(held) = self.stores.get(&store) else {
            return page;
        };
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut bytes = 0;
        for key in held
            .keys
            .range::<str, _>((start, Bound::Unbounded))
            .map(|(key, _)| key)
        {
            if page.keys.len() as u64 == u64::from(limit) || bytes + key.len() > MAX_PAGE_BYTES {
                page.more = true;
                break;
            }
            bytes += key.len();
            page.keys.push(key.clone());
        }
        page
    }

    pub(crate) fn usage(&self, store: StoreId) -> Usage {
        let held = self.stores.get(&store);
        held.map_or_else(Usage::default, |held| held.usage)
    }
}

/// Keys of a Store that was purged.
pub(crate) struct Taken<'a> {
    keys: BTreeMap<String, Bytes>,
    /// Of the Store itself.
    cost: u64,
    ledger: &'a Ledger,
}

impl Taken<'_> {
    /// Frees `count` keys; whether more are left.
    pub(crate) fn free(&mut self, count: usize) -> bool {
        let mut freed = std::mem::take(&mut self.cost);
        for _ in 0..count {
            let Some((key, value)) = self.keys.pop_first() else {
                break;
            };
            freed += cost(&key, &value);
        }
        self.ledger.give_back(freed);
        !self.keys.is_empty()
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.free(usize::MAX);
    }
}
