//! Removing the data of Stores that end.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use shoal_protocol::Grants;
use tokio::{sync::Notify, time::sleep};

use super::Housekeeping;
use crate::{StoreId, Usage};

/// What could not be done is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);

/// The Stores whose data is to be removed. One at a time: nobody waits for it.
pub(super) struct Purges {
    grants: Arc<Grants>,
    waiting: Mutex<BTreeMap<StoreId, Waiting>>,
    more: Notify,
    done: AtomicU64,
}

/// Data that is to be removed.
#[derive(Clone)]
struct Waiting {
    class: String,
    /// Why it was not, when it was last tried.
    problem: Option<String>,
}

impl Purges {
    pub(super) fn new(grants: Arc<Grants>) -> Self {
        Self {
            grants,
            waiting: Mutex::default(),
            more: Notify::new(),
            done: AtomicU64::new(0),
        }
    }

    /// Removes all data of this Store, of this class.
    pub(super) fn add(&self, store: StoreId, class: String) {
        let waiting = Waiting {
            class,
            problem: None,
        };
        self.waiting.lock().insert(store, waiting);
        self.more.notify_one();
    }

    /// What was asked for is asked for again, as far as it still counts.
    pub(super) fn clear(&self) {
        self.waiting.lock().clear();
    }

    /// How many Stores it has removed the data of.
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Works for as long as `of` is there.
    pub(super) async fn work(self: Arc<Self>, of: Weak<Housekeeping>) {
        loop {
            let round: Vec<StoreId> = self.waiting.lock().keys().copied().collect();
            for store in round {
                let Some(of) = of.upgrade() else { return };
                // It may have been taken back meanwhile.
                let waiting = self.waiting.lock().get(&store).cloned();
                if let Some(waiting) = waiting {
                    self.purge(&of, store, &waiting.class).await;
                }
            }
            if self.waiting.lock().is_empty() {
                self.more.notified().await;
            } else {
                sleep(AGAIN).await;
            }
        }
    }

    async fn purge(&self, of: &Housekeeping, store: StoreId, class: &str) {
        match self.try_purge(of, store, class).await {
            Ok(()) => {
                tracing::info!(%store, class, "the data of a store was removed");
                self.waiting.lock().remove(&store);
                self.done.fetch_add(1, Ordering::Relaxed);
                of.catalog.clone().forget(store).await;
                of.purged(store, None);
            }
            Err(problem) => {
                let is_new = self.waiting.lock().get_mut(&store).is_some_and(|waiting| {
                    waiting.problem.replace(problem.clone()).as_ref() != Some(&problem)
                });
                if is_new {
                    tracing::warn!(%store, class, problem, "the data of a store is not removed yet");
                    of.purged(store, Some(&problem));
                }
            }
        }
    }

    async fn try_purge(
        &self,
        of: &Housekeeping,
        store: StoreId,
        class: &str,
    ) -> Result<(), String> {
        if self.grants.table().grants_store(&store.to_string()) {
            return Err("a node may still use it".to_owned());
        }
        let backend = of.classes.lock().usable(class)?;
        backend.purge(store).await?;
        match backend.usage(store).await? {
            Usage { keys: 0, .. } => Ok(()),
            Usage { keys, .. } => Err(format!("{keys} keys were written meanwhile")),
        }
    }
}
