//! When a status is worth a write, and which Events come with it.
//!
//! A status that says only that work goes on waits a second: most work is done by then, and one write tells of it
//! all. Nodes that come and go are told every ten seconds, unless a condition changes.

use jiff::SignedDuration;
use shoal_crds::{AppStatus, Condition, ConditionStatus, ConditionType, Reason};

use super::Facts;
use crate::{AppEvent, EventType, Priority, WriteAction, index::Memory, output::Plan};

const PROGRESS_WAITS: SignedDuration = SignedDuration::from_secs(1);
const NODES_EVERY: SignedDuration = SignedDuration::from_secs(10);
/// Reasons of conditions that hold, though not all is well.
const WORSE: [Reason; 3] = [
    Reason::Degraded,
    Reason::LastValuesKept,
    Reason::StoreClassNotReady,
];

/// Adds the write of `wanted` to the plan, now or later, if it says anything new.
pub(crate) fn write(facts: &Facts<'_>, wanted: AppStatus, memory: &mut Memory, plan: &mut Plan) {
    let stored = facts.stored();
    if stored.is_some_and(|stored| *stored == wanted || ordered(stored) == ordered(&wanted)) {
        memory.status_held_since = None;
        return;
    }
    if let Some(until) = wait(facts, &wanted, memory).filter(|until| *until > facts.now) {
        plan.recheck(until);
        return;
    }
    memory.status_held_since = None;
    memory.status_written_at = Some(facts.now);
    plan.events.extend(events(stored, &wanted));
    let action = WriteAction::PatchAppStatus {
        key: facts.key.clone(),
        uid: facts.app.metadata.uid.clone().unwrap_or_default(),
        status: Box::new(wanted),
    };
    plan.writes.push(action.at(Priority::Cosmetic));
}

fn wait(facts: &Facts<'_>, wanted: &AppStatus, memory: &mut Memory) -> Option<jiff::Timestamp> {
    let stored = facts.stored();
    let fell = stored.is_some_and(is_available) && !is_available(wanted);
    if let (Some(until), Some(stored)) = (facts.unsettled_until, stored)
        && !fell
        && stored.observed_generation == facts.generation()
    {
        return Some(until);
    }
    if let Some(stored) = stored
        && essence(stored) == essence(wanted)
    {
        return Some(memory.status_written_at? + NODES_EVERY);
    }
    if is_progress(wanted) && !fell {
        let since = *memory.status_held_since.get_or_insert(facts.now);
        return Some(since + PROGRESS_WAITS);
    }
    None
}

fn is_available(status: &AppStatus) -> bool {
    let available = condition(status, ConditionType::Available);
    available.is_some_and(|available| available.status == ConditionStatus::True)
}

fn condition(status: &AppStatus, type_: ConditionType) -> Option<&Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_.as_str())
}

fn is_progress(status: &AppStatus) -> bool {
    let progress = [Reason::Progressing, Reason::CodeUnavailable].map(Reason::as_str);
    let ready = condition(status, ConditionType::Ready);
    ready.is_some_and(|ready| progress.contains(&ready.reason.as_str()))
}

/// The status with its lists in one order: they are maps to the API server, which may keep an order of its own, and
/// entries of others, which no write of ours removes.
fn ordered(status: &AppStatus) -> AppStatus {
    let mut status = status.clone();
    status.nodes.sort_by(|a, b| a.name.cmp(&b.name));
    status
        .conditions
        .retain(|one| ConditionType::parse(&one.type_).is_some());
    status.conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
    status
}

/// The status without what nodes change by coming and going.
fn essence(status: &AppStatus) -> AppStatus {
    let mut status = ordered(status);
    status.replicas = 0;
    status.ready = None;
    status.serving_revision = None;
    status.nodes.clear();
    if let Some(summary) = &mut status.summary {
        summary.nodes = None;
    }
    for condition in &mut status.conditions {
        condition.message.clear();
    }
    status
}

fn events(stored: Option<&AppStatus>, wanted: &AppStatus) -> Vec<AppEvent> {
    let mut events: Vec<AppEvent> = Vec::new();
    let told = [
        ConditionType::ImageResolved,
        ConditionType::Built,
        ConditionType::StoresBound,
        ConditionType::Ready,
    ];
    for type_ in told {
        let Some(now) = condition(wanted, type_) else {
            continue;
        };
        let before = stored.and_then(|status| condition(status, type_));
        if before.is_some_and(|before| before.status == now.status && before.reason == now.reason) {
            continue;
        }
        let good = now.status == ConditionStatus::True && type_ == ConditionType::Ready;
        let bad =
            now.status == ConditionStatus::False && now.reason != Reason::Progressing.as_str();
        let worse = WORSE.map(Reason::as_str).contains(&now.reason.as_str());
        let type_ = match (good, bad) {
            _ if worse => EventType::Warning,
            (true, _) => EventType::Normal,
            (_, true) => EventType::Warning,
            _ => continue,
        };
        if !events.iter().any(|event| event.reason == now.reason) {
            events.push(AppEvent {
                type_,
                reason: now.reason.clone(),
                message: now.message.clone(),
            });
        }
    }
    events
}
