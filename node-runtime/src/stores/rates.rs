//! How many operations a second each Store is used with on this node.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use shoal_stores::StoreId;

/// Stores that are remembered before those that rest are forgotten.
const REMEMBERED: usize = 1024;

/// A token bucket for each Store that was used a moment ago. Each holds what a second gives; an operation
/// on many keys takes as many, and may leave less than nothing: the next one waits for it.
#[derive(Default)]
pub(super) struct Rates(Mutex<Buckets>);

#[derive(Default)]
struct Buckets {
    stores: HashMap<StoreId, Bucket>,
    /// How many there may be before the next look at which of them rest.
    look_at: usize,
}

struct Bucket {
    tokens: f64,
    /// As of the last call: each class has a limit of its own.
    per_second: f64,
    filled: Instant,
}

impl Bucket {
    fn fill(&mut self, per_second: f64, now: Instant) {
        self.per_second = per_second;
        let passed = now.saturating_duration_since(self.filled);
        let most = per_second.max(1.0);
        self.tokens = passed
            .as_secs_f64()
            .mul_add(per_second, self.tokens)
            .min(most);
        self.filled = now;
    }
}

impl Rates {
    /// Takes `operations` on `store`, of which `limit` may be made per second on `nodes` nodes together;
    /// or nothing, where the store has been used up.
    pub(super) fn take(
        &self,
        store: StoreId,
        operations: usize,
        limit: NonZeroU32,
        nodes: u32,
        now: Instant,
    ) -> bool {
        let per_second = f64::from(limit.get()) / f64::from(nodes.max(1));
        let mut buckets = self.0.lock();
        buckets.forget_resting(now);
        let bucket = buckets.stores.entry(store).or_insert_with(|| Bucket {
            tokens: per_second.max(1.0),
            per_second,
            filled: now,
        });
        bucket.fill(per_second, now);
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= f64::from(u32::try_from(operations.max(1)).unwrap_or(u32::MAX));
        true
    }
}

impl Buckets {
    /// A bucket that is full is as good as none.
    fn forget_resting(&mut self, now: Instant) {
        if self.stores.len() < self.look_at.max(REMEMBERED) {
            return;
        }
        let full = |bucket: &Bucket| {
            let per_second = bucket.per_second;
            let missing = (per_second.max(1.0) - bucket.tokens).max(0.0);
            let needed = Duration::try_from_secs_f64(missing / per_second).unwrap_or(Duration::MAX);
            now.saturating_duration_since(bucket.filled) >= needed
        };
        self.stores.retain(|_, bucket| !full(bucket));
        self.look_at = self.stores.len().saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(per_second: u32) -> NonZeroU32 {
        NonZeroU32::new(per_second).unwrap()
    }

    /// How many of `tries` single operations at `now` pass.
    fn passing(rates: &Rates, store: StoreId, tries: usize, nodes: u32, now: Instant) -> usize {
        let take = |_: &usize| rates.take(store, 1, limit(10), nodes, now);
        (0..tries).filter(take).count()
    }

    #[test]
    fn a_second_gives_so_many_and_no_more_are_saved_up() {
        let (rates, store, now) = (Rates::default(), StoreId::random(), Instant::now());
        assert_eq!(passing(&rates, store, 100, 1, now), 10);
        assert_eq!(
            passing(&rates, store, 100, 1, now + Duration::from_millis(500)),
            5
        );
        assert_eq!(
            passing(&rates, store, 100, 1, now + Duration::from_secs(60)),
            10
        );
        let neighbour = StoreId::random();
        assert_eq!(
            passing(&rates, neighbour, 100, 1, now),
            10,
            "each has its own"
        );
    }

    #[test]
    fn a_node_has_its_part_and_a_part_below_one_is_still_one_now_and_then() {
        let (rates, store, now) = (Rates::default(), StoreId::random(), Instant::now());
        assert_eq!(passing(&rates, store, 100, 5, now), 2);
        let (rates, store) = (Rates::default(), StoreId::random());
        assert_eq!(passing(&rates, store, 100, 20, now), 1);
        assert_eq!(
            passing(&rates, store, 100, 20, now + Duration::from_secs(1)),
            0
        );
        assert_eq!(
            passing(&rates, store, 100, 20, now + Duration::from_secs(2)),
            1
        );
    }

    #[test]
    fn an_operation_on_many_keys_counts_as_many() {
        let (rates, store, now) = (Rates::default(), StoreId::random(), Instant::now());
        let take = |keys, at| rates.take(store, keys, limit(10), 1, at);
        assert!(take(30, now), "more than a second gives is possible");
        assert!(!take(1, now + Duration::from_secs(2)), "and is waited for");
        assert!(take(1, now + Duration::from_millis(2200)));
    }

    #[test]
    fn stores_that_rest_are_forgotten() {
        let (rates, now) = (Rates::default(), Instant::now());
        for _ in 0..REMEMBERED {
            assert!(rates.take(StoreId::random(), 1, limit(10), 1, now));
        }
        let later = now + Duration::from_secs(1);
        assert!(rates.take(StoreId::random(), 1, limit(10), 1, later));
        assert_eq!(rates.0.lock().stores.len(), 1);
    }

    #[test]
    fn a_store_pays_its_debt_whoever_calls_when_those_that_rest_are_forgotten() {
        let (rates, store, now) = (Rates::default(), StoreId::random(), Instant::now());
        assert!(rates.take(store, 1000, limit(10), 1, now));
        for _ in 0..REMEMBERED {
            assert!(rates.take(StoreId::random(), 1, limit(10), 1, now));
        }
        let later = now + Duration::from_secs(2);
        assert!(rates.take(StoreId::random(), 1, limit(100_000), 1, later));
        assert!(!rates.take(store, 1, limit(10), 1, later));
    }
}
