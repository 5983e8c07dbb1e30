//! The conditions of a StoreClass.

use shoal_crds::{Condition, ConditionStatus, ConditionType, Reason, StoreClass, StoreClassSpec};

use super::{
    View,
    health::{Fares, fares},
};
use crate::{
    output::Plan,
    status::{Verdict, time},
};

/// All that hold or do not hold now.
pub(super) fn conditions(view: &View<'_>, plan: &mut Plan) -> Vec<Condition> {
    let ready = match ready(view, plan) {
        Some(verdict) => Some(make(view, ConditionType::Ready, verdict)),
        None => stored(view, ConditionType::Ready).cloned(),
    };
    let conflict = conflict(view).map(|verdict| make(view, ConditionType::Conflict, verdict));
    let in_use = in_use(view).map(|verdict| make(view, ConditionType::InUse, verdict));
    [ready, conflict, in_use].into_iter().flatten().collect()
}

fn stored<'a>(view: &View<'a>, type_: ConditionType) -> Option<&'a Condition> {
    let conditions = &view.class.status.as_ref()?.conditions;
    conditions.iter().find(|one| one.type_ == type_.as_str())
}

fn make(view: &View<'_>, type_: ConditionType, verdict: Verdict) -> Condition {
    let known = stored(view, type_).filter(|known| known.status == verdict.status);
    Condition {
        type_: type_.as_str().to_owned(),
        status: verdict.status,
        observed_generation: view.class.metadata.generation,
        last_transition_time: known.map_or_else(
            || time(view.now),
            |known| known.last_transition_time.clone(),
        ),
        reason: verdict.reason,
        message: verdict.message,
    }
}

/// Whether the nodes that use it reach it; `None`: not known yet, what was written holds.
fn ready(view: &View<'_>, plan: &mut Plan) -> Option<Verdict> {
    let index = view.index;
    if !view.class.spec.backend.is_in_store_pod()
        && let Err(fault) = index.classes.credentials(view.name)?
    {
        return Some(Verdict::fails(fault.reason, fault.message.clone()));
    }
    let before = stored(view, ConditionType::Ready);
    let stood = before.is_some_and(|one| one.status == ConditionStatus::False);
    Some(match fares(index, view.name, stood, view.now, plan)? {
        Fares::Badly(reason, message) => Verdict::fails(reason, message),
        Fares::Well => {
            let text = "every node that uses it reaches it".to_owned();
            Verdict::holds(Reason::Reachable, text)
        }
        Fares::Idle => {
            let text = "the store pod reaches it; no node uses it now".to_owned();
            Verdict::holds(Reason::Reachable, text)
        }
        Fares::Unused => Verdict::pending(Reason::Unused, "no node uses it now"),
    })
}

/// Another class that is the default for the same with equal right.
fn conflict(view: &View<'_>) -> Option<Verdict> {
    if view.class.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let others = view.index.classes.open();
    let mut others = others.filter(|other| other.metadata.name.as_deref() != Some(view.name));
    let text = others.find_map(|other| tie(view, other))?;
    Some(Verdict::holds(Reason::AmbiguousDefault, text))
}

fn tie(view: &View<'_>, other: &StoreClass) -> Option<String> {
    let (one, two): (&StoreClassSpec, &StoreClassSpec) = (&view.class.spec, &other.spec);
    if one.interface != two.interface {
        return None;
    }
    let label = one.label_in_common(two)?;
    let place = if one.namespace_selector.is_some() {
        let both = |labels: &_| one.may_be_used_by(labels) && two.may_be_used_by(labels);
        let namespace = view.index.namespaces.find(both)?;
        format!(" in namespace `{namespace}`")
    } else {
        String::new()
    };
    let name = other.metadata.name.as_deref().unwrap_or_default();
    Some(format!(
        "this and StoreClass `{name}` are the default for label `{label}`{place} with equal right: apps that open it \
         and have no Store yet get none; give one of them other `labels`, another `namespaceSelector`, or \
         `default: false`"
    ))
}

/// Stores that keep it from being deleted.
fn in_use(view: &View<'_>) -> Option<Verdict> {
    view.class.metadata.deletion_timestamp.as_ref()?;
    let text = format!(
        "{} Stores are of this class; it is deleted when they are: kubectl get stores -A",
        view.stores
    );
    Some(Verdict {
        status: ConditionStatus::True,
        ..Verdict::holds(Reason::StoresRemain, text)
    })
}
