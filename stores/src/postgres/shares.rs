//! How many calls of one Store are under way: never so many that they hold every connection.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::StoreId;

/// Stores that are remembered before those without calls are forgotten.
const REMEMBERED: usize = 1024;

/// See the module.
pub(crate) struct Shares(Mutex<State>);

struct State {
    each: usize,
    stores: HashMap<StoreId, Weak<Semaphore>>,
    forget_at: usize,
}

impl Shares {
    /// Shares of `connections`.
    pub(crate) fn new(connections: u32) -> Self {
        Self(Mutex::new(State {
            each: share(connections),
            stores: HashMap::new(),
            forget_at: REMEMBERED,
        }))
    }

    /// Shares of another number of connections, for Stores that have no calls now.
    pub(crate) fn change(&self, connections: u32) {
        self.0.lock().each = share(connections);
    }

    /// Waits until `store` may make a call, behind its own others alone.
    pub(crate) async fn turn(&self, store: StoreId) -> Option<OwnedSemaphorePermit> {
        let calls = self.calls(store);
        calls.acquire_owned().await.ok()
    }

    fn calls(&self, store: StoreId) -> Arc<Semaphore> {
        let mut state = self.0.lock();
        if let Some(calls) = state.stores.get(&store).and_then(Weak::upgrade) {
            return calls;
        }
        if state.stores.len() >= state.forget_at {
            state.stores.retain(|_, calls| calls.strong_count() > 0);
            state.forget_at = REMEMBERED.max(2 * state.stores.len());
        }
        let calls = Arc::new(Semaphore::new(state.each));
        state.stores.insert(store, Arc::downgrade(&calls));
        calls
    }
}

/// Three quarters, and at least one.
fn share(connections: u32) -> usize {
    (connections - connections.div_ceil(4)).max(1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_leaves_connections_to_others_where_there_are_some() {
        let shares = [1, 2, 3, 4, 10, 1000].map(share);
        assert_eq!(shares, [1, 1, 2, 3, 7, 750]);
    }

    #[tokio::test]
    async fn stores_without_calls_are_forgotten() {
        let shares = Shares::new(4);
        let kept = StoreId::random();
        let _turn = shares.turn(kept).await.unwrap();
        for _ in 0..5000 {
            drop(shares.turn(StoreId::random()).await);
        }
        let state = shares.0.lock();
        assert!(state.stores.len() <= 2 * REMEMBERED);
        assert!(state.stores.contains_key(&kept));
    }
}
