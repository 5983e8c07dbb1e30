//! StoreClasses: who keeps one from being deleted, and what its status says; of the one that is built in, what Apps
//! say.

mod built_in;
mod conditions;
mod health;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use shoal_crds::{
    CLASS_FINALIZER, Condition, ConditionType, EMBEDDED_CLASS, Reason, StoreClass, StoreClassStatus,
};

use crate::{Index, Priority, WriteAction, output::Plan, store};
use conditions::conditions;

/// How often what is not urgent is written: counts, and words of messages.
const COUNTS_EVERY: SignedDuration = SignedDuration::from_secs(10);

/// Plans one StoreClass; of the one that is built in, what there is to say while it has no object.
pub(crate) fn plan(index: &mut Index, name: &str, now: Timestamp, plan: &mut Plan) {
    let is_built_in = name == EMBEDDED_CLASS;
    let Some(class) = index.classes.get(name).cloned() else {
        if is_built_in {
            built_in::plan(index, now, plan);
        }
        return;
    };
    if is_built_in {
        built_in::declared(index);
    }
    let stores = index.stores.count_of_class(name);
    let is_leaving = class.metadata.deletion_timestamp.is_some();
    if !is_leaving && stores > 0 {
        store::hold(index, name, plan);
    }
    if is_leaving && stores == 0 {
        release(&class, name, plan);
        return;
    }
    // Nothing waits for what is built in.
    if is_leaving && is_built_in {
        return;
    }
    let view = View {
        index,
        name,
        class: &class,
        stores,
        now,
    };
    let stored = class.status.clone().unwrap_or_default();
    let wanted = StoreClassStatus {
        backend: class.spec.backend.kind().map(str::to_owned),
        used_by: i32::try_from(stores).unwrap_or(i32::MAX),
        place: place(&view),
        conditions: conditions(&view, plan),
    };
    write(index, name, &class, stored, wanted, now, plan);
}

/// A StoreClass, as the planner looks at it.
struct View<'a> {
    index: &'a Index,
    name: &'a str,
    class: &'a StoreClass,
    /// How many Stores are of it.
    stores: usize,
    now: Timestamp,
}

/// What is recorded stays: a binding is for ever.
fn place(view: &View<'_>) -> Option<String> {
    let found = || view.index.place_found(view.name);
    view.class.place().or_else(found).map(str::to_owned)
}

fn release(class: &StoreClass, name: &str, plan: &mut Plan) {
    let mut finalizers = class.metadata.finalizers.iter().flatten();
    if finalizers.any(|one| one == CLASS_FINALIZER) {
        let action = WriteAction::HoldClass {
            name: name.to_owned(),
            uid: class.metadata.uid.clone().unwrap_or_default(),
            holds: false,
        };
        plan.writes.push(action.at(Priority::Add));
    }
}

fn write(
    index: &mut Index,
    name: &str,
    class: &Arc<StoreClass>,
    mut stored: StoreClassStatus,
    wanted: StoreClassStatus,
    now: Timestamp,
    plan: &mut Plan,
) {
    stored
        .conditions
        .retain(|one| ConditionType::parse(&one.type_).is_some());
    if ordered(&stored) == ordered(&wanted) {
        return;
    }
    let next = index.classes.written_at(name).map(|at| at + COUNTS_EVERY);
    if let Some(next) = next.filter(|next| *next > now && essence(&stored) == essence(&wanted)) {
        plan.recheck(next);
        return;
    }
    index.classes.set_written(name, now);
    let action = WriteAction::PatchClassStatus {
        name: name.to_owned(),
        uid: class.metadata.uid.clone().unwrap_or_default(),
        status: wanted,
    };
    plan.writes.push(action.at(Priority::Cosmetic));
}

/// The API server may keep the list in an order of its own.
fn ordered(status: &StoreClassStatus) -> StoreClassStatus {
    let mut status = status.clone();
    status.conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
    status
}

/// What someone may be waiting for. That no node uses the class (any more, or yet) is not.
fn essence(status: &StoreClassStatus) -> (Option<&str>, Vec<(String, &'static str)>) {
    let unused = Reason::Unused.as_str();
    let said = status.conditions.iter().filter(|one| one.reason != unused);
    let mut said: Vec<_> = said
        .map(|one: &Condition| (one.type_.clone() + &one.reason, one.status.as_str()))
        .collect();
    said.sort();
    (status.place.as_deref(), said)
}
