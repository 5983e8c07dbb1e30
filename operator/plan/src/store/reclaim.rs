//! What becomes of the data of a Store whose App, or which itself, is deleted.
//!
//! Under `Retain` nothing. Under `Delete` a finalizer holds the Store from the moment that it has an id and may have
//! data, so that it never goes before that. Once
//! its App was seen to be deleted, the Store says when its time has come; then it is deleted like one that someone
//! deletes by hand: the store pod removes the data, and the finalizer is taken away. That an App is missing in a list
//! is no reason for anything.

use jiff::{Timestamp, Unit};
use shoal_crds::{Condition, ConditionType, DATA_FINALIZER, Reason, ReclaimPolicy, Store};

use crate::{AppKey, Index, ObjectKey, Priority, WriteAction, index::Purge, output::Plan};

/// What becomes of a Store's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays.
    Stays,
    /// It goes at this time, unless the App is made again before.
    Waits(Timestamp),
    /// It goes when no App uses it any more.
    StillUsed,
    /// It is being removed; why it could not be, when it was last tried.
    Purging(Option<String>),
    /// It is gone, and the Store goes with this plan.
    Gone,
}

/// Decides about a Store of `app`, and does what is next. `exists`: the App does; `used`: some App uses the Store.
pub(super) fn decide(
    index: &mut Index,
    app: &AppKey,
    (key, store): (&ObjectKey, &Store),
    exists: bool,
    used: bool,
    plan: &mut Plan,
    now: Timestamp,
) -> Fate {
    let is_held = is_held(store);
    let is_leaving = store.metadata.deletion_timestamp.is_some();
    let has_data = index.stores.older_with_same_id(key, store).is_none();
    let id = store.spec.id.as_deref().filter(|_| has_data);
    if store.spec.reclaim_policy == ReclaimPolicy::Retain
        && let Some(id) = id
    {
        index.housekeeping.keep(id);
    }
    let id = id.filter(|_| store.spec.reclaim_policy == ReclaimPolicy::Delete);
    let Some(id) = id else {
        if is_held {
            plan.writes.push(hold(key, store, false));
        }
        return Fate::Stays;
    };
    if is_leaving {
        // A node that has not finished with the App may still write.
        let ends = !exists && index.runtimes.reporting(app).next().is_some();
        return match (is_held, used || ends) {
            (false, _) => Fate::Stays,
            (true, true) => Fate::StillUsed,
            (true, false) => purge(index, id, key, store, plan),
        };
    }
    if !is_held {
        plan.writes.push(hold(key, store, true));
    }
    if exists || used {
        return Fate::Stays;
    }
    let seen = index.housekeeping.saw_deletion(app);
    let at = match (time_of(store), seen) {
        (Some(at), _) => at,
        (None, true) => now + index.housekeeping.grace(),
        (None, false) => return Fate::Stays,
    };
    if at > now {
        plan.recheck(at);
    } else if is_held {
        plan.writes.push(delete(key, store));
    }
    Fate::Waits(at)
}

/// The App is there, or all that its deletion means for its Stores is written down.
pub(super) fn settle(index: &mut Index, app: &AppKey, exists: bool) {
    let mut stores = index.stores.of_app(app).into_iter();
    let written = stores.all(|(_, store)| {
        store.spec.reclaim_policy == ReclaimPolicy::Retain
            || store.metadata.deletion_timestamp.is_some()
            || time_of(store).is_some()
    });
    if exists || written {
        index.housekeeping.forget_deletion(app);
    }
}

fn purge(index: &mut Index, id: &str, key: &ObjectKey, store: &Store, plan: &mut Plan) -> Fate {
    match index.housekeeping.purge(id) {
        Purge::UnderWay(problem) => Fate::Purging(problem),
        Purge::Done => {
            plan.writes.push(hold(key, store, false));
            Fate::Gone
        }
    }
}

fn time_of(store: &Store) -> Option<Timestamp> {
    let at = store.status.as_ref()?.delete_at.as_deref()?;
    at.parse().ok()
}

impl Fate {
    /// `status.deleteAt`
    pub(super) fn delete_at(&self, store: &Store) -> Option<String> {
        match self {
            Self::Stays | Self::Gone => None,
            Self::Waits(at) => Some(at.round(Unit::Second).unwrap_or(*at).to_string()),
            Self::StillUsed | Self::Purging(_) => store.status.as_ref()?.delete_at.clone(),
        }
    }

    /// The condition `Deleting`.
    pub(super) fn condition(
        &self,
        app: &AppKey,
        store: &Store,
        now: Timestamp,
    ) -> Option<Condition> {
        let (reason, message) = match self {
            Self::Stays | Self::Gone => return None,
            Self::Waits(at) => (
                Reason::AppDeleted,
                format!(
                    "App `{}` was deleted: the data goes at {}, unless an App of that name is made again before, or \
                     `spec.reclaimPolicy` becomes `Retain`",
                    app.name,
                    at.round(Unit::Second).unwrap_or(*at)
                ),
            ),
            Self::StillUsed => (
                Reason::StillUsed,
                "the Store is to be deleted with its data, and waits for the Apps of `status.usedBy` and for nodes that \
                 still end requests"
                    .to_owned(),
            ),
            Self::Purging(None) => (Reason::Purging, "the data is being removed".to_owned()),
            Self::Purging(Some(problem)) => (
                Reason::PurgeFailed,
                format!(
                    "the data cannot be removed now, which is tried again: {problem} (to keep what is left of it instead, \
                     set `spec.reclaimPolicy` to `Retain`: the Store then goes without it)"
                ),
            ),
        };
        Some(super::report::condition(
            ConditionType::Deleting,
            reason,
            message,
            store,
            now,
        ))
    }
}

fn is_held(store: &Store) -> bool {
    let mut finalizers = store.metadata.finalizers.iter().flatten();
    finalizers.any(|one| one == DATA_FINALIZER)
}

/// Finalizers of a Store that gets its id: one whose data is to go with it never has data without being held.
pub(super) fn finalizers_with_id(store: &Store) -> Vec<String> {
    let is_leaving = store.metadata.deletion_timestamp.is_some();
    let holds = store.spec.reclaim_policy == ReclaimPolicy::Delete && !is_leaving;
    finalizers(store, holds || is_held(store))
}

fn finalizers(store: &Store, holds: bool) -> Vec<String> {
    let others = store.metadata.finalizers.iter().flatten();
    let others = others.filter(|one| *one != DATA_FINALIZER).cloned();
    others
        .chain(holds.then(|| DATA_FINALIZER.to_owned()))
        .collect()
}

fn hold(key: &ObjectKey, store: &Store, holds: bool) -> crate::Write {
    let action = WriteAction::HoldStore {
        key: key.clone(),
        resource_version: store.metadata.resource_version.clone().unwrap_or_default(),
        finalizers: finalizers(store, holds),
    };
    action.at(Priority::Add)
}

fn delete(key: &ObjectKey, store: &Store) -> crate::Write {
    let action = WriteAction::DeleteStore {
        key: key.clone(),
        uid: store.metadata.uid.clone().unwrap_or_default(),
        resource_version: store.metadata.resource_version.clone().unwrap_or_default(),
    };
    action.at(Priority::Add)
}
