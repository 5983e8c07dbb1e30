//! Removing the data of Stores that end.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use shoal_protocol::Grants;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{Housekeeping, holdings::Holdings};
use crate::{StoreId, Usage};

/// What could not be done is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);
/// After this it is the turn of the next Store of the class. Longer than any call to a backend takes, so that each
/// turn gets on.
const TURN: Duration = Duration::from_secs(10);

/// The Stores whose data is to be removed: one at a time of each class, in turns.
pub(super) struct Purges {
    grants: Arc<Grants>,
    waiting: Mutex<BTreeMap<StoreId, Waiting>>,
    more: Notify,
    withdrawn: Notify,
    done: AtomicU64,
}

/// Data that is to be removed.
#[derive(Clone)]
struct Waiting {
    class: String,
    /// Why it was not, when it was last tried.
    problem: Option<String>,
}

/// How a turn ended.
enum Turn {
    /// No data is left.
    Done,
    /// There is more of it, and others come first.
    Over,
    /// It is not to be removed any more.
    Withdrawn,
}

impl Purges {
    pub(super) fn new(grants: Arc<Grants>) -> Self {
        Self {
            grants,
            waiting: Mutex::default(),
            more: Notify::new(),
            withdrawn: Notify::new(),
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

    /// What was asked for of these Stores counts no longer.
    pub(super) fn withdraw(&self, stores: impl IntoIterator<Item = StoreId>) {
        {
            let mut waiting = self.waiting.lock();
            for store in stores {
                waiting.remove(&store);
            }
        }
        self.withdrawn.notify_waiters();
    }

    /// What was asked for is asked for again, as far as it still counts.
    pub(super) fn clear(&self) {
        self.waiting.lock().clear();
        self.withdrawn.notify_waiters();
    }

    /// How many Stores it has removed the data of.
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// The data of one more was removed.
    pub(super) fn count(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Works for as long as `of` is there.
    pub(super) async fn work(self: Arc<Self>, of: Weak<Housekeeping>) {
        let (mut workers, mut busy) = (JoinSet::new(), HashSet::new());
        loop {
            for class in self.classes() {
                if busy.insert(class.clone()) {
                    workers.spawn(self.clone().work_on(class, of.clone()));
                }
            }
            tokio::select! {
                () = self.more.notified() => {}
                Some(ended) = workers.join_next() => {
                    // `Housekeeping::is_alive` says that it panicked.
                    let Ok(class) = ended else { return };
                    busy.remove(&class);
                }
            }
        }
    }

    /// Removes the data of what waits of one class, until nothing does. Returns the class.
    async fn work_on(self: Arc<Self>, class: String, of: Weak<Housekeeping>) -> String {
        loop {
            let round = self.of_class(&class);
            if round.is_empty() {
                return class;
            }
            let mut got_on = false;
            for store in round {
                let Some(of) = of.upgrade() else { return class };
                // It may have been taken back meanwhile.
                if self.waits(store) {
                    got_on |= self.purge(&of, store, &class).await;
                }
            }
            if !got_on {
                sleep(AGAIN).await;
            }
        }
    }

    fn classes(&self) -> HashSet<String> {
        let waiting = self.waiting.lock();
        waiting.values().map(|one| one.class.clone()).collect()
    }

    fn of_class(&self, class: &str) -> Vec<StoreId> {
        let waiting = self.waiting.lock();
        let of_class = waiting.iter().filter(|(_, one)| one.class == class);
        of_class.map(|(store, _)| *store).collect()
    }

    /// Why the data of this Store was not removed when it was last tried.
    #[cfg(test)]
    pub(super) fn problem(&self, store: StoreId) -> Option<String> {
        self.waiting.lock().get(&store)?.problem.clone()
    }

    fn waits(&self, store: StoreId) -> bool {
        self.waiting.lock().contains_key(&store)
    }

    /// Returns whether it got on.
    async fn purge(&self, of: &Housekeeping, store: StoreId, class: &str) -> bool {
        match self.turn(of, store, class).await {
            Ok(Turn::Done) => {
                if self.waiting.lock().remove(&store).is_some() {
                    tracing::info!(%store, class, "the data of a store was removed");
                    self.count();
                    of.catalog.clone().forget(store).await;
                    of.purged(store, None);
                }
                true
            }
            Ok(Turn::Over | Turn::Withdrawn) => true,
            Err(Refusal::InUse(problem) | Refusal::Failed(problem)) => {
                let is_new = self.waiting.lock().get_mut(&store).is_some_and(|waiting| {
                    waiting.problem.replace(problem.clone()).as_ref() != Some(&problem)
                });
                if is_new {
                    tracing::warn!(%store, class, problem, "the data of a store is not removed yet");
                    of.purged(store, Some(&problem));
                }
                false
            }
        }
    }

    /// Removes all data of a Store that no pod may open.
    pub(super) async fn try_purge(
        &self,
        of: &Housekeeping,
        store: StoreId,
        class: &str,
    ) -> Result<(), Refusal> {
        if self.grants.table().is_store_in_use(&store.to_string()) {
            return Err(Refusal::InUse("a node may still use it".to_owned()));
        }
        let backend = of.classes.lock().holdings(class).map_err(Refusal::Failed)?;
        let keys = empty(&*backend, store).await.map_err(|error| {
            let trouble = of.classes.lock().trouble(class);
            Refusal::Failed(trouble.unwrap_or(error))
        })?;
        match keys {
            0 => Ok(()),
            keys => Err(Refusal::Failed(format!(
                "{keys} keys were written meanwhile"
            ))),
        }
    }

    /// As [`Self::try_purge`], for as long as the Store waits for it and it is its turn.
    async fn turn(&self, of: &Housekeeping, store: StoreId, class: &str) -> Result<Turn, Refusal> {
        tokio::select! {
            turn = timeout(TURN, self.try_purge(of, store, class)) => match turn {
                Ok(result) => result.map(|()| Turn::Done),
                Err(_) => Ok(Turn::Over),
            },
            () = self.withdrawal(store) => Ok(Turn::Withdrawn),
        }
    }

    /// Waits until this Store is not to be emptied any more.
    async fn withdrawal(&self, store: StoreId) {
        loop {
            let withdrawn = self.withdrawn.notified();
            if !self.waits(store) {
                return;
            }
            withdrawn.await;
        }
    }
}

/// Removes all that a Store holds. Begun again it meets only what is left. Returns how many keys there are then.
async fn empty(backend: &dyn Holdings, store: StoreId) -> Result<u64, String> {
    backend.purge(store).await?;
    let Usage { keys, .. } = backend.usage(store).await?;
    Ok(keys)
}

/// Why data was not removed, for people.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A pod may still open it.
    InUse(String),
    /// It could not be done now.
    Failed(String),
}
