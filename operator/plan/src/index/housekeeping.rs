//! What is to be done for Stores as a whole, and what the store pod says that they hold.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use shoal_crds::{Interface, Store};

use super::Index;
use crate::AppKey;

/// The status of a Store says what it holds at most this often.
const USAGE_EVERY: SignedDuration = SignedDuration::from_secs(60);
/// How long data of a deleted App is kept unless the operator is told otherwise.
const DEFAULT_GRACE: SignedDuration = SignedDuration::from_hours(24);

/// What a Store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreUsage {
    /// Keys.
    pub keys: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

impl StoreUsage {
    /// Keys and bytes as the status of a Store of this interface has them.
    pub(crate) fn as_written(self, interface: Interface) -> (Option<i64>, Option<i64>) {
        let number = |number| Some(i64::try_from(number).unwrap_or(i64::MAX));
        let keys = match interface {
            Interface::KeyValue | Interface::Blob => number(self.keys),
            Interface::Sql => None,
        };
        (keys, number(self.bytes))
    }
}

/// A Store whose data is to be looked after: a `shoal.v1.Duty`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreDuty {
    /// Its `spec.id`.
    pub id: String,
    /// Its class.
    pub class: String,
    /// Its namespace.
    pub namespace: String,
    /// The App that it was made for.
    pub app: String,
    /// The label that guests open.
    pub label: String,
    /// What its data is reached through.
    pub interface: Interface,
    /// Its data is to be removed.
    pub purge: bool,
}

/// See the module. Everything is by the Store's id.
#[derive(Debug)]
pub(crate) struct Housekeeping {
    /// What the store pod said last.
    usages: HashMap<String, StoreUsage>,
    /// Stores whose status may say something else.
    untold: Untold,
    /// What a status is to say, since when.
    told: HashMap<String, (StoreUsage, Timestamp)>,
    /// Stores of which the store pod is to hear.
    changed: BTreeSet<String>,
    /// Stores whose data is to be removed.
    purging: HashSet<String>,
    /// Stores whose data could not be removed yet, and why.
    problems: HashMap<String, String>,
    /// Stores whose data is gone.
    purged: HashSet<String>,
    /// Apps whose deletion was seen, and is not written down yet.
    deleted: HashSet<AppKey>,
    grace: SignedDuration,
}

impl Default for Housekeeping {
    fn default() -> Self {
        Self {
            usages: HashMap::new(),
            untold: Untold::default(),
            told: HashMap::new(),
            changed: BTreeSet::new(),
            purging: HashSet::new(),
            problems: HashMap::new(),
            purged: HashSet::new(),
            deleted: HashSet::new(),
            grace: DEFAULT_GRACE,
        }
    }
}

/// Stores, by when the next may be written of.
#[derive(Debug, Default)]
struct Untold {
    order: BTreeSet<(Timestamp, String)>,
    due: HashMap<String, Timestamp>,
}

impl Untold {
    /// One that waits already keeps its place.
    fn insert(&mut self, id: &str, due: Timestamp) {
        if !self.due.contains_key(id) {
            self.due.insert(id.to_owned(), due);
            self.order.insert((due, id.to_owned()));
        }
    }

    fn remove(&mut self, id: &str) {
        if let Some(due) = self.due.remove(id) {
            self.order.remove(&(due, id.to_owned()));
        }
    }

    fn next_due(&self, now: Timestamp) -> Option<String> {
        let (due, id) = self.order.first()?;
        (*due <= now).then(|| id.clone())
    }
}

/// How the removal of a Store's data stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purge {
    /// It is being removed; why it could not be, when it was last tried.
    UnderWay(Option<String>),
    /// It is gone.
    Done,
}

impl Housekeeping {
    /// Another leader, or none: what this one had decided counts no longer.
    pub(super) fn lead(&mut self) {
        self.told.clear();
        self.purging.clear();
        self.problems.clear();
        self.purged.clear();
        self.untold = Untold::default();
        for id in self.usages.keys() {
            self.untold.insert(id, Timestamp::MIN);
        }
    }

    /// A Store was made, has changed, or is gone.
    pub(super) fn changed(&mut self, store: &Store) {
        self.changed.extend(store.spec.id.clone());
    }

    /// Whether it was seen that this App was deleted.
    pub(crate) fn saw_deletion(&self, app: &AppKey) -> bool {
        self.deleted.contains(app)
    }

    /// It is there again, or it is written down that it was deleted.
    pub(crate) fn forget_deletion(&mut self, app: &AppKey) {
        self.deleted.remove(app);
    }

    /// How long data of a deleted App is kept.
    pub(crate) fn grace(&self) -> SignedDuration {
        self.grace
    }

    /// What the status of a Store is to say; `None`: what it says.
    pub(crate) fn told(&self, id: &str) -> Option<StoreUsage> {
        self.told.get(id).map(|(usage, _)| *usage)
    }

    /// A Store holds this now.
    fn heard(&mut self, id: String, usage: StoreUsage) {
        let told = self.told.get(&id).map(|(_, at)| *at);
        let due = told.map_or(Timestamp::MIN, |at| at + USAGE_EVERY);
        self.untold.insert(&id, due);
        self.usages.insert(id, usage);
    }

    /// The data of this Store is to be removed, unless it becomes one whose data is kept. Returns how that stands.
    pub(crate) fn purge(&mut self, id: &str) -> Purge {
        if self.purging.insert(id.to_owned()) {
            self.changed.insert(id.to_owned());
        }
        if self.purged.contains(id) {
            Purge::Done
        } else {
            Purge::UnderWay(self.problems.get(id).cloned())
        }
    }

    /// The data of this Store is kept.
    pub(crate) fn keep(&mut self, id: &str) {
        if self.purging.remove(id) {
            self.problems.remove(id);
            self.purged.remove(id);
            self.changed.insert(id.to_owned());
        }
    }

    /// No Store has this id any more.
    fn forget(&mut self, id: &str) {
        self.usages.remove(id);
        self.untold.remove(id);
        self.told.remove(id);
        self.purging.remove(id);
        self.problems.remove(id);
        self.purged.remove(id);
    }
}

impl Index {
    /// Data of Apps that are deleted from now on is kept for so long.
    pub fn set_store_delete_grace(&mut self, grace: SignedDuration) {
        self.housekeeping.grace = grace;
    }

    /// It was seen that an App was deleted.
    pub(super) fn app_deleted(&mut self, app: &AppKey) {
        if !self.stores.of_app(app).is_empty() {
            self.housekeeping.deleted.insert(app.clone());
        }
    }

    /// Every Store that has an id.
    pub fn store_duties(&self) -> Vec<StoreDuty> {
        let ids = self.stores.ids();
        ids.filter_map(|id| self.store_duty(id)).collect()
    }

    /// The Store of this id, if there is one.
    pub fn store_duty(&self, id: &str) -> Option<StoreDuty> {
        let (key, store) = self.stores.with_id(id)?;
        Some(StoreDuty {
            id: id.to_owned(),
            class: store.spec.class_name.clone(),
            namespace: key.namespace.to_string(),
            app: store.spec.app.clone(),
            label: store.spec.label.clone(),
            interface: store.spec.interface,
            purge: self.housekeeping.purging.contains(id),
        })
    }

    /// Ids of which [`Self::store_duty`] may say something else than at the last call.
    pub fn take_changed_duties(&mut self) -> BTreeSet<String> {
        let changed = std::mem::take(&mut self.housekeeping.changed);
        for id in &changed {
            if self.stores.with_id(id).is_none() {
                self.housekeeping.forget(id);
            }
        }
        changed
    }

    /// Stores hold this now. Of Stores that nobody knows nothing is kept.
    pub fn store_usages(&mut self, usages: impl IntoIterator<Item = (String, StoreUsage)>) {
        for (id, usage) in usages {
            if self.stores.with_id(&id).is_some() {
                self.housekeeping.heard(id, usage);
            }
        }
    }

    /// Has the status of at most `most` Stores say what they hold, if it says something else and was not written of
    /// that within the last minute; who waits longest comes first. To be called again and again while leading. Returns
    /// whether others wait.
    pub fn tell_usages(&mut self, most: usize, now: Timestamp) -> bool {
        let mut said = 0;
        while let Some(id) = self.housekeeping.untold.next_due(now) {
            if said == most {
                return true;
            }
            self.housekeeping.untold.remove(&id);
            let (Some(usage), Some((key, store))) = (
                self.housekeeping.usages.get(&id).copied(),
                self.stores.with_id(&id),
            ) else {
                continue;
            };
            let status = store.status.as_ref();
            let written = status.map(|status| (status.keys, status.bytes));
            if written != Some(usage.as_written(store.spec.interface)) {
                let app = key.sibling(&store.spec.app);
                self.housekeeping.told.insert(id, (usage, now));
                self.dirty.insert(app);
                said += 1;
            }
        }
        false
    }

    /// The store pod was told to remove the data of a Store; why it could not (yet), if so.
    pub fn store_purged(&mut self, id: &str, problem: Option<String>) {
        let housekeeping = &mut self.housekeeping;
        if !housekeeping.purging.contains(id) {
            return;
        }
        match problem {
            None => {
                housekeeping.problems.remove(id);
                housekeeping.purged.insert(id.to_owned());
            }
            Some(problem) => {
                housekeeping.problems.insert(id.to_owned(), problem);
            }
        }
        if let Some((key, store)) = self.stores.with_id(id) {
            let app = key.sibling(&store.spec.app);
            self.dirty.insert(app);
        }
    }
}
