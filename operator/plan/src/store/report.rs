//! The status of Stores.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use shoal_crds::{Condition, ConditionStatus, ConditionType, Reason, Store, StoreStatus};

use super::reclaim::{self, Fate};
use crate::{AppKey, Index, ObjectKey, Priority, StoreUsage, WriteAction, output::Plan};

/// As many as a status may hold.
const MOST_USERS: usize = 64;

/// Writes the status of the App's own Stores where it is not what it is to be, and has go what is to go. `app` with
/// `exists`: there is such an App. `is_known`: which Stores the App itself uses; otherwise what was written of that
/// holds.
pub(crate) fn report(
    index: &mut Index,
    app: &AppKey,
    exists: bool,
    is_known: bool,
    now: Timestamp,
    plan: &mut Plan,
) {
    let stores = index.stores.of_app(app).into_iter();
    let stores: Vec<_> = stores
        .map(|(key, store)| (key.clone(), Arc::clone(store)))
        .collect();
    for (key, store) in stores {
        let before = store.status.clone().unwrap_or_default();
        let used_by = users(index, app, &key, &before.used_by, is_known);
        let used = !used_by.is_empty();
        let fate = reclaim::decide(index, app, (&key, &store), exists, used, plan, now);
        if fate == Fate::Gone {
            continue;
        }
        let older = index.stores.older_with_same_id(&key, &store);
        let backend = index.classes.backend(&store.spec.class_name);
        let (keys, bytes) = holds(index, &store, &before);
        let conflict = older.map(|older| conflict(older, &store, now));
        let status = StoreStatus {
            bound: store.spec.id.is_some() && older.is_none(),
            backend: backend.map(str::to_owned).or(before.backend.clone()),
            keys,
            bytes,
            delete_at: fate.delete_at(&store),
            used_by,
            conditions: conflict
                .into_iter()
                .chain(fate.condition(app, &store, now))
                .collect(),
        };
        let mut ours = before;
        ours.conditions
            .retain(|one| ConditionType::parse(&one.type_).is_some());
        if status != ours {
            let action = WriteAction::PatchStoreStatus {
                key,
                uid: store.metadata.uid.clone().unwrap_or_default(),
                status,
            };
            plan.writes.push(action.at(Priority::Cosmetic));
        }
    }
    reclaim::settle(index, app, exists);
}

/// What the Store is to say that it holds: nothing, while it is new.
fn holds(index: &Index, store: &Store, before: &StoreStatus) -> (Option<i64>, Option<i64>) {
    let id = store.spec.id.as_deref();
    match id.and_then(|id| index.housekeeping.told(id)) {
        Some(usage) => usage.as_written(store.spec.interface),
        None if store.status.is_none() => StoreUsage::default().as_written(store.spec.interface),
        None => (before.keys, before.bytes),
    }
}

/// Apps that use a Store: those that are known to, and those of which it was written and is not known yet.
fn users(
    index: &Index,
    app: &AppKey,
    store: &ObjectKey,
    written: &[String],
    is_known: bool,
) -> Vec<String> {
    let open = |name: &&String| {
        let other = store.sibling(name);
        if other == *app {
            return !is_known;
        }
        let exists = index.unreadable.contains(&other)
            || index
                .apps
                .get(&other)
                .is_some_and(|entry| entry.app.is_some());
        exists && !index.sharing.is_known(&other)
    };
    let using = index.sharing.using(store);
    let mut names: BTreeSet<String> = using.map(|key| key.name.to_string()).collect();
    names.extend(written.iter().filter(open).cloned());
    names.into_iter().take(MOST_USERS).collect()
}

fn conflict(older: &ObjectKey, store: &Store, now: Timestamp) -> Condition {
    let text = format!("Store `{older}` has the same id and is older; this one is not used");
    let (type_, reason) = (ConditionType::Conflict, Reason::DuplicateId);
    condition(type_, reason, text, store, now)
}

/// A condition of a Store that holds.
pub(super) fn condition(
    type_: ConditionType,
    reason: Reason,
    message: String,
    store: &Store,
    now: Timestamp,
) -> Condition {
    let type_ = type_.as_str();
    let known = store
        .status
        .iter()
        .flat_map(|status| &status.conditions)
        .find(|c| c.type_ == type_);
    Condition {
        type_: type_.to_owned(),
        status: ConditionStatus::True,
        observed_generation: store.metadata.generation,
        last_transition_time: known.map_or_else(
            || crate::status::time(now),
            |known| known.last_transition_time.clone(),
        ),
        reason: reason.as_str().to_owned(),
        message,
    }
}
