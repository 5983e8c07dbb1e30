//! The conditions that the facts make.

use shoal_crds::{Condition, ConditionStatus, ConditionType, Reason};

use super::{Facts, NodeFact, Served, Verdict, time};

/// Reasons of nodes that no further try mends.
const FINAL: [Reason; 2] = [Reason::LinkFailed, Reason::InvalidAssignment];

/// The conditions of an App.
pub(super) struct Conditions {
    list: Vec<Condition>,
}

impl Conditions {
    pub(super) fn into_list(self) -> Vec<Condition> {
        self.list
    }

    /// Why the App is not ready, or not as ready as it was.
    pub(super) fn summary_reason(&self) -> Option<String> {
        let ready = self
            .list
            .iter()
            .find(|c| c.type_ == ConditionType::Ready.as_str())?;
        let all_well = ready.reason == Reason::AllNodesReady.as_str();
        (!all_well).then(|| ready.reason.clone())
    }
}

/// The steps before an App runs anywhere.
struct Steps {
    resolved: Verdict,
    built: Verdict,
    bound: Verdict,
}

impl Steps {
    fn of(facts: &Facts<'_>) -> Self {
        let resolved = settle(facts, ConditionType::ImageResolved, &facts.resolved)
            .unwrap_or_else(|| Verdict::pending(Reason::Resolving, "the image is being resolved"));
        let built = settle(facts, ConditionType::Built, &facts.built).unwrap_or_else(|| {
            if resolved.status == ConditionStatus::True {
                Verdict::pending(Reason::Building, "the image is being pulled and compiled")
            } else {
                Verdict::pending(Reason::Waiting, "the image is not resolved yet")
            }
        });
        let bound = settle(facts, ConditionType::StoresBound, &facts.bound).unwrap_or_else(|| {
            if built.status == ConditionStatus::True {
                Verdict::pending(Reason::Progressing, "the stores are being made")
            } else {
                Verdict::pending(Reason::Waiting, "the image is not built yet")
            }
        });
        Self {
            resolved,
            built,
            bound,
        }
    }

    fn fault(&self) -> Option<&Verdict> {
        [&self.resolved, &self.built, &self.bound]
            .into_iter()
            .find(|verdict| verdict.failed())
    }
}

/// The verdict if there is one, else what was written about the same generation.
fn settle(facts: &Facts<'_>, type_: ConditionType, verdict: &Option<Verdict>) -> Option<Verdict> {
    if let Some(verdict) = verdict {
        return Some(verdict.clone());
    }
    let stored = stored(facts, type_)?;
    let settled = stored.status != ConditionStatus::Unknown
        && stored.observed_generation == Some(facts.generation());
    let stalled = condition(facts, ConditionType::Stalled).is_some();
    settled.then(|| Verdict::stored(stored, !stalled))
}

fn condition<'a>(facts: &'a Facts<'_>, type_: ConditionType) -> Option<&'a Condition> {
    facts
        .stored()?
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_.as_str())
}

/// What was written, if it speaks of this generation.
fn stored<'a>(facts: &'a Facts<'_>, type_: ConditionType) -> Option<&'a Condition> {
    condition(facts, type_).filter(|c| c.observed_generation == Some(facts.generation()))
}

pub(super) fn conditions(facts: &Facts<'_>) -> Conditions {
    let steps = Steps::of(facts);
    let available = available(facts);
    let ready = ready(facts, &steps, available.status == ConditionStatus::True);
    let progress = progress(&ready);
    let Steps {
        resolved,
        built,
        bound,
    } = steps;
    let mut all = vec![
        (ConditionType::ImageResolved, resolved),
        (ConditionType::Built, built),
        (ConditionType::StoresBound, bound),
        (ConditionType::Available, available),
        (ConditionType::Ready, ready),
    ];
    all.extend(progress);
    Conditions {
        list: all
            .into_iter()
            .map(|(type_, verdict)| make(facts, type_, verdict))
            .collect(),
    }
}

fn make(facts: &Facts<'_>, type_: ConditionType, verdict: Verdict) -> Condition {
    let known = condition(facts, type_).filter(|known| known.status == verdict.status);
    Condition {
        type_: type_.as_str().to_owned(),
        status: verdict.status,
        observed_generation: Some(facts.generation()),
        last_transition_time: known.map_or_else(
            || time(facts.now),
            |known| known.last_transition_time.clone(),
        ),
        reason: verdict.reason,
        message: verdict.message,
    }
}

/// kstatus: at work, or given up.
fn progress(ready: &Verdict) -> Option<(ConditionType, Verdict)> {
    if ready.status == ConditionStatus::True {
        return None;
    }
    let given_up = ready.failed() && !ready.retried;
    let type_ = if given_up {
        ConditionType::Stalled
    } else {
        ConditionType::Reconciling
    };
    Some((
        type_,
        Verdict {
            status: ConditionStatus::True,
            ..ready.clone()
        },
    ))
}

fn available(facts: &Facts<'_>) -> Verdict {
    if facts.wanted_replicas() == 0 {
        let text = "`spec.replicas` is 0".to_owned();
        return Verdict::fails(Reason::Suspended, text);
    }
    if !facts.ready_nodes.is_empty() {
        return Verdict::holds(Reason::EndpointsReady, "nodes serve the app".to_owned());
    }
    if let Some(fault) = facts.service_fault.as_ref().or(facts.port_fault.as_ref()) {
        return Verdict {
            status: ConditionStatus::False,
            ..fault.clone()
        };
    }
    if facts.eligible == 0 {
        return no_nodes(facts);
    }
    Verdict::fails(Reason::NoEndpoints, "no node serves the app".to_owned())
}

fn no_nodes(facts: &Facts<'_>) -> Verdict {
    let text = if facts.app.spec.node_selector.is_empty() {
        "no node has a runtime that is ready".to_owned()
    } else {
        "no node that `spec.nodeSelector` matches has a runtime that is ready".to_owned()
    };
    Verdict::fails(Reason::NoEligibleNodes, text).retried()
}

fn ready(facts: &Facts<'_>, steps: &Steps, available: bool) -> Verdict {
    if facts.wanted_replicas() == 0 {
        return Verdict::holds(Reason::Suspended, "`spec.replicas` is 0".to_owned());
    }
    if let Some(fault) = facts.service_fault.as_ref().or(facts.port_fault.as_ref()) {
        let status = if fault.failed() {
            ConditionStatus::False
        } else {
            fault.status
        };
        return Verdict {
            status,
            ..fault.clone()
        };
    }
    if let Some(fault) = steps.fault() {
        return revision_fault(fault, available);
    }
    let latched =
        stored(facts, ConditionType::Ready).is_some_and(|c| c.status == ConditionStatus::True);
    match &facts.configured {
        Some(fault) if fault.failed() => {
            return match available && latched {
                true => kept(fault),
                false => revision_fault(fault, available),
            };
        }
        Some(pending) if !(available && latched) => return values_pending(facts, pending),
        _ => {}
    }
    if !available && facts.eligible == 0 {
        return no_nodes(facts);
    }
    if let Some(kept) = unheard(facts, available) {
        let fewer = facts.unsettled_until.is_none() && facts.ready_nodes.len() < facts.desired();
        let is_ready = kept.status == ConditionStatus::True;
        return if is_ready && fewer { degraded() } else { kept };
    }
    let current = facts
        .nodes
        .iter()
        .filter(|node| node.served == Served::Current)
        .count();
    let complete = facts.revision.is_some() && current == facts.nodes.len();
    let served = current.min(facts.ready_nodes.len());
    if available && complete && served >= facts.desired() {
        return all_ready();
    }
    if available && latched {
        let settled = |node: &NodeFact| matches!(node.served, Served::Current | Served::Updating);
        let updating =
            facts.nodes.iter().all(settled) && facts.ready_nodes.len() >= facts.desired();
        return if updating { all_ready() } else { degraded() };
    }
    if let Some(fault) = node_fault(facts, available) {
        return fault;
    }
    let mut text = match facts.revision {
        Some(_) => format!(
            "{current} of {} nodes serve the current revision",
            facts.desired()
        ),
        None => "the app is being prepared".to_owned(),
    };
    if let Some(node) = facts.nodes.iter().find(|node| lacks_code(node)) {
        let trouble = format!("node `{}`: {}", node.name, node.message);
        if !available {
            return Verdict::fails(Reason::CodeUnavailable, trouble).retried();
        }
        text = format!("{text}; {trouble}");
    }
    Verdict::fails(Reason::Progressing, text).retried()
}

fn all_ready() -> Verdict {
    let text = "every wanted node serves the current revision".to_owned();
    Verdict::holds(Reason::AllNodesReady, text)
}

/// While values are read, what was written about this generation holds, unless it was ready.
fn values_pending(facts: &Facts<'_>, pending: &Verdict) -> Verdict {
    let failed = stored(facts, ConditionType::Ready).filter(|c| c.status == ConditionStatus::False);
    match failed {
        Some(failed) => {
            let stalled = condition(facts, ConditionType::Stalled).is_some();
            Verdict::stored(failed, !stalled)
        }
        None => Verdict::fails(Reason::Progressing, pending.message.clone()).retried(),
    }
}

/// It was ready with values of which one is not there any more.
fn kept(fault: &Verdict) -> Verdict {
    let text = format!(
        "{}; it serves on with the values that it had",
        fault.message
    );
    Verdict::holds(Reason::LastValuesKept, text)
}

fn degraded() -> Verdict {
    let text = "it was ready; fewer nodes than wanted serve it now".to_owned();
    Verdict::holds(Reason::Degraded, text)
}

/// What the spec asks for cannot be; something may still be served.
fn revision_fault(fault: &Verdict, available: bool) -> Verdict {
    if !available {
        return fault.clone();
    }
    let message = format!("{}: {}", fault.reason, fault.message);
    let verdict = Verdict::fails(Reason::RevisionFailed, message);
    Verdict {
        retried: fault.retried,
        ..verdict
    }
}

/// While it is not known what nodes serve, or what they are to serve, what was written about this generation
/// holds.
fn unheard(facts: &Facts<'_>, available: bool) -> Option<Verdict> {
    let known = facts.revision.is_some()
        && facts
            .nodes
            .iter()
            .all(|node| node.served != Served::Unheard);
    if known {
        return None;
    }
    let ready = stored(facts, ConditionType::Ready)?;
    let holds = (ready.status == ConditionStatus::True) == available
        || (ready.status == ConditionStatus::False && ready.reason != Reason::Suspended.as_str());
    let stalled = condition(facts, ConditionType::Stalled).is_some();
    holds.then(|| Verdict::stored(ready, !stalled))
}

fn lacks_code(node: &NodeFact) -> bool {
    let waits = matches!(
        node.served,
        Served::Nothing | Served::Former | Served::Updating
    );
    waits && node.reason.as_deref() == Some(Reason::CodeUnavailable.as_str())
}

fn node_fault(facts: &Facts<'_>, available: bool) -> Option<Verdict> {
    let failed = |served| matches!(served, Served::Failed | Served::FormerFailed);
    let node = facts.nodes.iter().find(|node| failed(node.served))?;
    let reason = node
        .reason
        .as_deref()
        .and_then(Reason::parse)
        .unwrap_or(Reason::CodeUnavailable);
    let verdict = Verdict::fails(reason, format!("node `{}`: {}", node.name, node.message));
    let verdict = if FINAL.contains(&reason) {
        verdict
    } else {
        verdict.retried()
    };
    Some(revision_fault(&verdict, available))
}
