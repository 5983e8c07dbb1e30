//! How a class does, by the words of those who use it.

use std::{collections::BTreeSet, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use shoal_crds::Reason;

use crate::{Index, index::Health, output::Plan};

/// For how long a node must fail to reach a backend before it is told: most troubles are over by then.
const MOMENT: SignedDuration = SignedDuration::from_secs(3);
/// Most nodes that a message names.
const MOST_NAMED: usize = 5;

/// See the module.
pub(super) enum Fares {
    /// Somebody who uses it does not reach it, and has not for more than a moment.
    Badly(Reason, String),
    /// All who use it reach it, and one of them is a node.
    Well,
    /// The store pod reaches it, and no node uses it.
    Idle,
    /// Nobody who may use it says anything of it.
    Unused,
}

/// How a class does; `None`: not known yet, what was said before holds. `stood`: that it does badly may have been said
/// before.
pub(super) fn fares(
    index: &Index,
    name: &str,
    stood: bool,
    now: Timestamp,
    plan: &mut Plan,
) -> Option<Fares> {
    let (failing, reaching): (Vec<_>, Vec<_>) = index
        .classes
        .health(name)
        .partition(|(_, health)| !health.reachable);
    let told_at = |health: &Health| health.since + MOMENT;
    let (long, fresh): (Vec<_>, Vec<_>) = failing
        .into_iter()
        .partition(|(_, health)| told_at(health) <= now);
    let all_spoke =
        index.is_health_known(now) && (index.has_store_pod_spoken() || now >= index.heard_by());
    if !all_spoke && stood && !long.is_empty() {
        // It still does not do well; whom else that is true of is heard by then.
        plan.recheck(index.heard_by());
        return None;
    }
    let next = fresh.iter().map(|(_, health)| told_at(health)).min();
    if let Some(at) = next {
        plan.recheck(at);
    }
    if let Some((_, health)) = long.first() {
        let reason = Reason::parse(&health.reason).unwrap_or(Reason::Unreachable);
        return Some(Fares::Badly(reason, trouble(index, &long, health)));
    }
    if next.is_some() {
        return None;
    }
    if !index.is_health_known(now) {
        plan.recheck(index.heard_by());
        return None;
    }
    if reaching.is_empty() {
        // It looks after a class that no node uses. However long it is away, that is no news of the class.
        return index.has_store_pod_spoken().then_some(Fares::Unused);
    }
    let is_node = |pod: &Arc<str>| index.runtimes.pod(pod).is_some();
    Some(match reaching.iter().any(|(pod, _)| is_node(pod)) {
        true => Fares::Well,
        false => Fares::Idle,
    })
}

fn trouble(index: &Index, failing: &[(&Arc<str>, &Health)], first: &Health) -> String {
    let node = |pod: &str| Some(format!("`{}`", index.runtimes.pod(pod)?.node));
    let nodes: BTreeSet<String> = failing.iter().filter_map(|(pod, _)| node(pod)).collect();
    if nodes.is_empty() {
        return format!("the store pod: {}", first.message);
    }
    let named: Vec<&str> = nodes.iter().take(MOST_NAMED).map(String::as_str).collect();
    let more = match nodes.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let word = if nodes.len() == 1 { "node" } else { "nodes" };
    format!("{word} {}{more}: {}", named.join(", "), first.message)
}
