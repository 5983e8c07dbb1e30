//! Which calls to a backend are under way from this node, and what they hold in memory: those of one Store never so many
//! that others wait behind them.
//!
//! A call first waits behind the other calls of its own Store, and only then, as one of a few, behind those of
//! others.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::StoreId;

/// Calls of one Store, where the backend itself bounds them no further.
pub(crate) const CALLS_PER_STORE: u32 = 64;
/// Calls under way.
const CALLS: usize = 512;
/// Calls under way send at most this much, in KiB.
const KIB: u32 = 32 * 1024;
/// Those of one Store; a larger call is alone with this.
const KIB_PER_STORE: u32 = 8 * 1024;
/// Stores that are remembered before those without calls are forgotten.
const REMEMBERED: usize = 1024;

/// See the module.
pub(crate) struct Gate {
    calls: Arc<Semaphore>,
    kib: Arc<Semaphore>,
    shares: Mutex<Shares>,
}

struct Shares {
    calls_per_store: u32,
    stores: HashMap<StoreId, Weak<Share>>,
    forget_at: usize,
}

/// What one Store's calls may take.
struct Share {
    calls: Arc<Semaphore>,
    kib: Arc<Semaphore>,
}

/// What a call takes for as long as it is under way.
pub(crate) struct Passed {
    _permits: [OwnedSemaphorePermit; 4],
    _share: Arc<Share>,
}

impl Gate {
    /// For a backend that does so many calls of one Store at once, at least one.
    pub(crate) fn new(calls_per_store: u32) -> Self {
        Self {
            calls: Arc::new(Semaphore::new(CALLS)),
            kib: Arc::new(Semaphore::new(KIB as usize)),
            shares: Mutex::new(Shares {
                calls_per_store,
                stores: HashMap::new(),
                forget_at: REMEMBERED,
            }),
        }
    }

    /// So many calls at once of each Store that has none now.
    pub(crate) fn change(&self, calls_per_store: u32) {
        self.shares.lock().calls_per_store = calls_per_store;
    }

    /// Waits until `store` may make a call that sends so many bytes. Nothing where the gate is closed, which no
    /// one does.
    pub(crate) async fn pass(&self, store: StoreId, bytes: usize) -> Option<Passed> {
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX);
        let kib = kib.min(KIB_PER_STORE);
        let share = self.shares.lock().of(store);
        let one = |calls: &Arc<Semaphore>| Arc::clone(calls).acquire_owned();
        let many = |held: &Arc<Semaphore>| Arc::clone(held).acquire_many_owned(kib);
        let permits = [
            one(&share.calls).await.ok()?,
            many(&share.kib).await.ok()?,
            one(&self.calls).await.ok()?,
            many(&self.kib).await.ok()?,
        ];
        Some(Passed {
            _permits: permits,
            _share: share,
        })
    }
}

impl Shares {
    fn of(&mut self, store: StoreId) -> Arc<Share> {
        if let Some(share) = self.stores.get(&store).and_then(Weak::upgrade) {
            return share;
        }
        if self.stores.len() >= self.forget_at {
            self.stores.retain(|_, share| share.strong_count() > 0);
            self.forget_at = REMEMBERED.max(2 * self.stores.len());
        }
        let share = Arc::new(Share {
            calls: Arc::new(Semaphore::new(self.calls_per_store.max(1) as usize)),
            kib: Arc::new(Semaphore::new(KIB_PER_STORE as usize)),
        });
        self.stores.insert(store, Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// What passes at once of so many calls, and those that wait.
    fn begin(
        gate: &Gate,
        store: StoreId,
        calls: usize,
        bytes: usize,
    ) -> (
        Vec<Passed>,
        Vec<impl Future<Output = Option<Passed>> + Unpin>,
    ) {
        let (mut passed, mut waiting) = (Vec::new(), Vec::new());
        for _ in 0..calls {
            let mut call = Box::pin(gate.pass(store, bytes));
            match (&mut call).now_or_never() {
                Some(now) => passed.extend(now),
                None => waiting.push(call),
            }
        }
        (passed, waiting)
    }

    fn passing(gate: &Gate, store: StoreId, calls: usize, bytes: usize) -> Vec<Passed> {
        begin(gate, store, calls, bytes).0
    }

    #[test]
    fn a_store_leaves_room_to_others_however_much_it_asks_for() {
        let gate = Gate::new(CALLS_PER_STORE);
        let (greedy, other) = (StoreId::random(), StoreId::random());
        let large = 4 << 20;
        for (bytes, most) in [(10, 64), (large, 1)] {
            let (passed, waiting) = begin(&gate, greedy, 1000, bytes);
            assert_eq!((passed.len(), waiting.len()), (most, 1000 - most));
            assert_eq!(passing(&gate, other, 1, large).len(), 1, "at once");
        }
        let alone = passing(&gate, greedy, 1, usize::MAX);
        assert_eq!(alone.len(), 1, "with all that a Store may have");
    }

    #[test]
    fn all_together_are_bounded() {
        let gate = Gate::new(CALLS_PER_STORE);
        let held: Vec<_> = (0..20)
            .flat_map(|_| passing(&gate, StoreId::random(), 100, 10))
            .collect();
        assert_eq!(held.len(), CALLS);
    }

    #[test]
    fn stores_without_calls_are_forgotten() {
        let gate = Gate::new(4);
        let kept = StoreId::random();
        let _held = passing(&gate, kept, 1, 1);
        for _ in 0..5000 {
            drop(passing(&gate, StoreId::random(), 1, 1));
        }
        let shares = gate.shares.lock();
        assert!(shares.stores.len() <= 2 * REMEMBERED);
        assert!(shares.stores.contains_key(&kept));
    }
}
