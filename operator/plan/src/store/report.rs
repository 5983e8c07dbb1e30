//! The status of Stores.

use std::collections::BTreeSet;

use jiff::Timestamp;
use shoal_crds::{Condition, ConditionStatus, ConditionType, Reason, Store, StoreStatus};

use crate::{AppKey, Index, ObjectKey, Priority, WriteAction, output::Plan};

/// As many as a status may hold.
const MOST_USERS: usize = 64;

/// Writes the status of the App's own Stores where it is not what it is to be. `is_known`: which Stores the App
/// itself uses; otherwise what was written of that holds.
pub(crate) fn report(index: &Index, app: &AppKey, is_known: bool, now: Timestamp, plan: &mut Plan) {
    for (key, store) in index.stores.of_app(app) {
        let before = store.status.clone().unwrap_or_default();
        let older = index.stores.older_with_same_id(key, store);
        let backend = index.classes.backend(&store.spec.class_name);
        let status = StoreStatus {
            bound: store.spec.id.is_some() && older.is_none(),
            backend: backend.map(str::to_owned).or(before.backend.clone()),
            used_by: users(index, app, key, &before.used_by, is_known),
            conditions: older
                .map(|older| conflict(older, store, now))
                .into_iter()
                .collect(),
        };
        let mut ours = before;
        ours.conditions
            .retain(|one| ConditionType::parse(&one.type_).is_some());
        if status != ours {
            let action = WriteAction::PatchStoreStatus {
                key: key.clone(),
                uid: store.metadata.uid.clone().unwrap_or_default(),
                status,
            };
            plan.writes.push(action.at(Priority::Cosmetic));
        }
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
    let type_ = ConditionType::Conflict.as_str();
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
        reason: Reason::DuplicateId.as_str().to_owned(),
        message: format!("Store `{older}` has the same id and is older; this one is not used"),
    }
}
