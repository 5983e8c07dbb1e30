//! What the store pod does for Stores as a whole: counts what they hold, removes the data of those that
//! end, and remembers whose data it has seen.
//!
//! The operator's leader says which Stores and classes there are; see `shoal/v1/housekeeping.proto`. The
//! credentials of classes stay in memory.

mod catalog;
mod classes;
mod duties;
mod follow;
mod holdings;
mod lane;
mod outbox;
mod purges;
#[cfg(test)]
mod tests;
mod transfer;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use shoal_protocol::{Grants, LiveIdentity, Precedence, v1, with_each};
use tokio_util::task::AbortOnDropHandle;

pub use self::{
    catalog::{Catalog, CatalogError, Entry},
    transfer::TransferService,
};
use self::{
    classes::Classes,
    duties::{Duties, Duty},
    outbox::{Outbox, Outboxes},
    purges::Purges,
};
use crate::{
    StoreId, Usage,
    server::{Backends, Ceilings},
};

/// See the module.
pub struct Housekeeping {
    precedence: Mutex<Precedence>,
    duties: Mutex<Duties>,
    classes: Mutex<Classes>,
    usages: Mutex<HashMap<StoreId, Usage>>,
    purges: Arc<Purges>,
    outboxes: Outboxes,
    catalog: Arc<Catalog>,
    purging: AbortOnDropHandle<()>,
}

impl Housekeeping {
    /// Knows of no Store yet. `own`: the backends of this pod. The catalog is kept in the file at `catalog`; no data is removed that a pod
    /// may open as `grants` say. Must be called within a tokio runtime.
    pub fn new(own: Backends, grants: Arc<Grants>, catalog: &Path) -> Arc<Self> {
        Arc::new_cyclic(|this: &Weak<Self>| {
            let purges = Arc::new(Purges::new(grants));
            let purging = tokio::spawn(Purges::work(purges.clone(), this.clone()));
            Self {
                precedence: Mutex::default(),
                duties: Mutex::default(),
                classes: Mutex::new(Classes::new(own, this.clone())),
                usages: Mutex::default(),
                purges,
                outboxes: Outboxes::default(),
                catalog: Arc::new(Catalog::new(catalog)),
                purging: AbortOnDropHandle::new(purging),
            }
        })
    }

    /// Does what the operator's replicas at `operator` (`host:port`) say, for as long as it is polled.
    pub async fn run(self: Arc<Self>, operator: String, identity: LiveIdentity) {
        identity.ready().await;
        let this = self.clone();
        let remember = self.catalog.clone();
        tokio::select! {
            () = with_each(
                &operator,
                |address| this.clone().converse(address, identity.clone()),
                |address| self.gone(address),
            ) => {}
            () = remember.keep_seen() => {}
        }
    }

    /// What was seen of each Store's data, and of which nobody knows any more.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Counters as Prometheus reads them.
    pub fn render(&self) -> String {
        format!(
            "# HELP shoal_store_purges_total Stores whose data was removed.\n\
             # TYPE shoal_store_purges_total counter\n\
             shoal_store_purges_total {}\n\
             # HELP shoal_store_orphans Stores whose data is kept although no Store object names it.\n\
             # TYPE shoal_store_orphans gauge\n\
             shoal_store_orphans {}\n",
            self.purges.done(),
            self.catalog.orphans(),
        )
    }

    /// Whether the task that removes data is there. It is for as long as the process is well.
    pub fn is_alive(&self) -> bool {
        !self.purging.is_finished()
    }

    /// A Store holds this now.
    fn counted(&self, store: StoreId, usage: Usage) {
        if self.usages.lock().insert(store, usage) != Some(usage) {
            self.outboxes.each(|outbox| outbox.usage(store));
        }
    }

    /// The operator waits for the answer to its `Purge`.
    fn purged(&self, store: StoreId, problem: Option<&str>) {
        if problem.is_none() {
            self.usages.lock().remove(&store);
        }
        self.outboxes.each(|outbox| outbox.purged(store, problem));
    }

    fn health_changed(&self) {
        self.outboxes.each(Outbox::health);
    }
}

impl Ceilings for Housekeeping {
    fn of(&self, store: StoreId) -> Option<v1::StoreLimits> {
        let class = self.duties.lock().class(store)?.to_owned();
        self.classes.lock().said_limits(&class)
    }
}
