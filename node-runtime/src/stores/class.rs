//! One class at work: its backend, its bounds, and who looks after it.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use shoal_stores::{Backend, BlobError, Blobs, Connections, KeyValueError, StoreId, StoreLimits};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

pub(crate) use super::counts::{Operation, Outcome};
use super::{
    backend::{self, BuiltIn, Way},
    counts::{CallError, Counts},
    description::{ClassBackend, ClassDescription},
    health::{Board, Standing},
    rates::Rates,
};
use crate::node::Backoff;

/// Longest time that a guest waits for a store.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longest time until a backend has said how it does.
const LOOK: Duration = Duration::from_secs(10);
/// A backend that fails is looked at again after this at the latest.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// One that does well and some calls of which fail is looked at no more often than this.
const REST: Duration = Duration::from_secs(1);

/// A class. Once dropped, its connections are closed as the calls on them end.
pub(crate) struct Class {
    name: String,
    way: Arc<Way>,
    bounds: ArcSwap<ClassDescription>,
    described: watch::Sender<ClassBackend>,
    rates: Rates,
    counts: Counts,
    suspected: Arc<Notify>,
    keeper: AbortOnDropHandle<()>,
}

impl Class {
    /// Starts the class, and a task that looks after it. Both do their work on `threads`.
    pub(super) fn start(
        description: ClassDescription,
        built_in: &BuiltIn,
        board: Board,
        threads: &Handle,
    ) -> Arc<Self> {
        let _there = threads.enter();
        let way = Arc::new(Way::new(&description.backend, built_in));
        let described = watch::Sender::new(description.backend.clone());
        let suspected = Arc::new(Notify::new());
        let keeper = Keeper {
            class: description.name.clone(),
            way: Arc::clone(&way),
            applied: description.backend.clone(),
            suspected: Arc::clone(&suspected),
            board,
        };
        let keeper = threads.spawn(keeper.run(described.subscribe()));
        Arc::new(Self {
            name: description.name.clone(),
            way,
            bounds: ArcSwap::from_pointee(description),
            described,
            rates: Rates::default(),
            counts: Counts::default(),
            suspected,
            keeper: AbortOnDropHandle::new(keeper),
        })
    }

    /// Makes it what `description` says, if that is the same place; whether it is.
    pub(super) fn become_like(&self, description: &ClassDescription) -> bool {
        let known = self.bounds.load();
        let is_usable = self.way.is_usable();
        if !is_usable && known.backend != description.backend
            || !known.backend.is_same_place(&description.backend)
        {
            return false;
        }
        if **known != *description {
            self.bounds.store(Arc::new(description.clone()));
            let backend = &description.backend;
            self.described.send_if_modified(|now| {
                let changed = now != backend;
                if changed {
                    now.clone_from(backend);
                }
                changed
            });
        }
        true
    }

    /// Nobody looks after it any more: another is in its place.
    pub(super) fn retire(&self) {
        self.keeper.abort();
    }

    /// Whether its data is in the embedded stores.
    pub(super) fn is_embedded(&self) -> bool {
        self.bounds.load().backend == ClassBackend::Embedded
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What was done with it.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How its own connections are used, if it has any.
    pub(crate) fn connections(&self) -> Option<Connections> {
        self.way.backend().ok()?.connections()
    }

    /// Bounds of each of its Stores, as they are now.
    pub(crate) fn limits(&self) -> StoreLimits {
        self.bounds.load().limits
    }

    /// Bounds of each of its Stores of objects, as they are now.
    pub(crate) fn object_limits(&self) -> StoreLimits {
        let bounds = self.bounds.load();
        StoreLimits {
            value_bytes: bounds.object_bytes,
            ..bounds.limits
        }
    }

    /// What calls on objects are made to.
    ///
    /// # Errors
    /// The class is not set up so that it could be used, or holds no objects.
    pub(crate) fn blobs(&self) -> Result<Arc<dyn Blobs>, BlobError> {
        self.way.blobs().map_err(|problem| {
            let name = &self.name;
            BlobError::Unavailable(format!("its class `{name}` cannot be used: {problem}"))
        })
    }

    /// What calls are made to.
    ///
    /// # Errors
    /// The class is not set up so that it could be used.
    pub(crate) fn backend(&self) -> Result<Arc<dyn Backend>, KeyValueError> {
        self.way.backend().map_err(|problem| {
            let name = &self.name;
            KeyValueError::Unavailable(format!("its class `{name}` cannot be used: {problem}"))
        })
    }

    /// Whether `store` may be used for an operation on so many keys now, by one of `nodes` nodes.
    ///
    /// # Errors
    /// It was used up; the text names the limit.
    pub(crate) fn admit(
        &self,
        store: StoreId,
        keys: usize,
        nodes: u32,
    ) -> Result<(), KeyValueError> {
        let Some(limit) = self.bounds.load().ops_per_second else {
            return Ok(());
        };
        let now = std::time::Instant::now();
        if self.rates.take(store, keys, limit, nodes, now) {
            return Ok(());
        }
        let class = &self.name;
        let share = match nodes {
            0 | 1 => String::new(),
            nodes => format!(" over {nodes} nodes"),
        };
        Err(KeyValueError::LimitExceeded(format!(
            "the store was used more often than limits.opsPerSecond of class `{class}` allows: \
             {limit}{share}, where each key of a call counts"
        )))
    }

    /// Counts an operation that was refused.
    pub(crate) fn refused(&self, operation: Operation, outcome: Outcome) {
        self.counts.refused(operation, outcome);
    }

    /// Waits for a call to the backend, for so long as a guest may wait.
    ///
    /// # Errors
    /// Those of the call, and that it took too long.
    pub(crate) async fn call<T, E: CallError>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let began = Instant::now();
        let result = timeout(DEADLINE, call).await.unwrap_or_else(|_| {
            let seconds = DEADLINE.as_secs();
            Err(E::unavailable(format!(
                "it did not answer within {seconds} s"
            )))
        });
        self.ended(operation, &result, began);
        result
    }

    /// Notes how a call ended that bounds its own time.
    pub(crate) fn ended<T, E: CallError>(
        &self,
        operation: Operation,
        result: &Result<T, E>,
        began: Instant,
    ) {
        let outcome = Outcome::from(result);
        self.counts.ended(operation, outcome, began.elapsed());
        // A statement whose time was over may have waited for a disk that does nothing.
        let may_be_late = operation == Operation::Execute && outcome == Outcome::Limit;
        if outcome == Outcome::Unavailable || may_be_late {
            self.suspected.notify_one();
        }
    }
}

/// Takes other settings into use, and finds out how the backend does: at the start, when calls fail, and
/// again and again until it does well.
struct Keeper {
    class: String,
    way: Arc<Way>,
    applied: ClassBackend,
    suspected: Arc<Notify>,
    board: Board,
}

impl Keeper {
    async fn run(mut self, mut described: watch::Receiver<ClassBackend>) {
        let mut backoff = Backoff::default();
        loop {
            let wanted = described.borrow_and_update().clone();
            let health = self.look(wanted).await;
            let is_well = health.is_ok();
            self.board.set(&self.class, health);
            let again = async {
                if is_well {
                    backoff.reset();
                    sleep(REST).await;
                    self.suspected.notified().await;
                } else {
                    sleep(backoff.next().min(LOOK_AGAIN)).await;
                }
            };
            tokio::select! {
                changed = described.changed() => if changed.is_err() { return },
                () = again => {}
            }
        }
    }

    async fn look(&mut self, wanted: ClassBackend) -> Standing {
        // Whatever becomes of the rest: what is in use may be another place than that.
        self.way.keep_to(&wanted);
        if wanted != self.applied {
            if !self.applied.is_told_its_place_by(&wanted) {
                self.way.change(&wanted).await?;
            }
            self.applied = wanted;
        }
        timeout(LOOK, self.way.look())
            .await
            .unwrap_or_else(|_| Err(backend::silent()))
    }
}
