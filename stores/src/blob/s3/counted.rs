//! What Stores hold, as this process knows it: S3 counts nothing for anybody.
//!
//! A count is a listing, corrected by what this process writes, and is made again after a while, or where
//! it would refuse a write though something was deleted since. It is exact while one process writes, whose
//! writes take turns; and it does not know yet what others wrote since.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use crate::{StoreId, StoreLimits, Usage, blob::BlobError, quota, quota::Change};

/// A count is made again after this time, or after so many times the time that it took.
const AGAIN: (Duration, u32) = (Duration::from_secs(60), 50);
/// Counts that are remembered; others are made again.
const REMEMBERED: usize = 10_000;

/// See the module.
#[derive(Default)]
pub(super) struct Counts {
    counts: Mutex<HashMap<StoreId, Count>>,
    turns: Mutex<HashMap<StoreId, Weak<tokio::sync::Mutex<()>>>>,
}

struct Count {
    usage: Usage,
    until: Instant,
    /// Something was deleted, nobody knows how much.
    may_be_less: bool,
}

impl Counts {
    /// Waits until no other write of this process is between its look at the count and its end.
    pub(super) async fn turn(&self, store: StoreId) -> OwnedMutexGuard<()> {
        let lock = {
            let mut turns = self.turns.lock();
            if turns.len() >= REMEMBERED {
                turns.retain(|_, turn| turn.strong_count() > 0);
            }
            let turn = turns.entry(store).or_default();
            turn.upgrade().unwrap_or_else(|| {
                let lock = Arc::default();
                *turn = Arc::downgrade(&lock);
                lock
            })
        };
        lock.lock_owned().await
    }

    /// Whether the count of a Store is known, and not too old.
    pub(super) fn knows(&self, store: StoreId, now: Instant) -> bool {
        let counts = self.counts.lock();
        counts.get(&store).is_some_and(|count| count.until > now)
    }

    /// Notes what a listing from `start` to `now` counted.
    pub(super) fn set(&self, store: StoreId, usage: Usage, start: Instant, now: Instant) {
        let (least, times) = AGAIN;
        let took = now.saturating_duration_since(start);
        let until = now + least.max(took.saturating_mul(times));
        let mut counts = self.counts.lock();
        if counts.len() >= REMEMBERED {
            counts.retain(|_, count| count.until > now);
        }
        if counts.len() < REMEMBERED {
            let count = Count {
                usage,
                until,
                may_be_less: false,
            };
            counts.insert(store, count);
        }
    }

    /// Whether there is room for a change. `None`: that is not known; it has to be counted.
    pub(super) fn check(
        &self,
        store: StoreId,
        change: Change,
        limits: StoreLimits,
    ) -> Option<Result<(), BlobError>> {
        let counts = self.counts.lock();
        let count = counts.get(&store)?;
        match quota::check(count.usage, change, limits) {
            Err(_) if count.may_be_less => None,
            result => Some(result.map_err(BlobError::from)),
        }
    }

    /// Counts a change that was made.
    pub(super) fn changed(&self, store: StoreId, change: Change) {
        if let Some(count) = self.counts.lock().get_mut(&store) {
            count.usage = count.usage.after(change);
        }
    }

    /// Something of a Store was deleted, or may have been written.
    pub(super) fn is_unsure(&self, store: StoreId) {
        if let Some(count) = self.counts.lock().get_mut(&store) {
            count.may_be_less = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Change = Change { keys: 1, bytes: 1 };
    const LIMITS: StoreLimits = StoreLimits {
        key_bytes: 1,
        value_bytes: 1,
        keys: Some(2),
        bytes: None,
    };

    #[test]
    fn what_was_written_counts() {
        let (counts, store, now) = (Counts::default(), StoreId::random(), Instant::now());
        let check = || counts.check(store, ONE, LIMITS);
        assert_eq!(check(), None);
        counts.set(store, Usage { keys: 1, bytes: 10 }, now, now);
        assert_eq!(check(), Some(Ok(())));
        counts.changed(store, ONE);
        assert!(matches!(check(), Some(Err(_))));
    }

    #[test]
    fn a_write_is_refused_only_by_a_count_from_which_nothing_was_deleted() {
        let (counts, store, now) = (Counts::default(), StoreId::random(), Instant::now());
        let full = Usage { keys: 2, bytes: 2 };
        counts.set(store, full, now, now);
        assert!(matches!(counts.check(store, ONE, LIMITS), Some(Err(_))));
        counts.is_unsure(store);
        assert_eq!(counts.check(store, ONE, LIMITS), None);
        counts.set(store, full, now, now);
        assert!(matches!(counts.check(store, ONE, LIMITS), Some(Err(_))));
    }

    #[test]
    fn a_count_that_took_long_is_used_for_long() {
        let (counts, store, now) = (Counts::default(), StoreId::random(), Instant::now());
        let usage = Usage::default();
        counts.set(store, usage, now, now);
        assert!(counts.knows(store, now + AGAIN.0 / 2));
        assert!(!counts.knows(store, now + AGAIN.0));
        let later = now + Duration::from_secs(10);
        counts.set(store, usage, now, later);
        assert!(counts.knows(store, later + Duration::from_secs(499)));
    }

    #[tokio::test]
    async fn writes_of_one_store_take_turns_and_those_of_others_do_not_wait() {
        let (counts, one) = (Counts::default(), StoreId::random());
        let turn = counts.turn(one).await;
        drop(counts.turn(StoreId::random()).await);
        let mut waiting = Box::pin(counts.turn(one));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        drop(turn);
        drop(waiting.await);
    }
}
