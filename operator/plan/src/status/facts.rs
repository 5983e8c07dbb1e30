//! The status that the facts make.

use std::collections::BTreeSet;

use jiff::Timestamp;
use shoal_crds::{App, AppStatus, NodeStatus, StoreStatusEntry, Summary};

use super::{Verdict, conditions::conditions};
use crate::AppKey;

const MOST_NODES: usize = 20;
const LONGEST_SUMMARY: usize = 512;
const HTTP_PORT: i32 = 80;

/// What is known about an App, for its status.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) key: &'a AppKey,
    pub(crate) app: &'a App,
    pub(crate) now: Timestamp,
    /// `None`: not known yet, what was written holds.
    pub(crate) resolved: Option<Verdict>,
    pub(crate) built: Option<Verdict>,
    pub(crate) bound: Option<Verdict>,
    /// Why what the spec asks for has no environment or variables; pending: they are being read.
    pub(crate) configured: Option<Verdict>,
    /// Why there is no Service that endpoints could be of.
    pub(crate) service_fault: Option<Verdict>,
    /// Why there is no port.
    pub(crate) port_fault: Option<Verdict>,
    /// `status.image` of what the spec asks for, once built; until then of what runs.
    pub(crate) image: Option<String>,
    /// Revision of what the spec asks for, once built.
    pub(crate) revision: Option<String>,
    /// Revision of what runs.
    pub(crate) running: Option<String>,
    /// `None`: not known.
    pub(crate) stores: Option<Vec<StoreStatusEntry>>,
    pub(crate) port: Option<u16>,
    /// There is a Service of ours.
    pub(crate) has_service: bool,
    /// Nodes that may serve the app.
    pub(crate) eligible: usize,
    /// Some of them may not have made themselves heard since the start, until then.
    pub(crate) unsettled_until: Option<Timestamp>,
    /// Nodes on which the app is placed.
    pub(crate) nodes: Vec<NodeFact>,
    /// Nodes with an endpoint that takes traffic.
    pub(crate) ready_nodes: BTreeSet<String>,
    /// Revisions that those nodes serve, as far as known, one for each.
    pub(crate) serving: Vec<String>,
}

/// The App on a node on which it is placed.
#[derive(Clone, Debug)]
pub(crate) struct NodeFact {
    pub(crate) name: String,
    pub(crate) served: Served,
    /// CamelCase; why it does not answer, or what is the matter with the current generation.
    pub(crate) reason: Option<String>,
    pub(crate) message: String,
}

/// What a node serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// What is wanted now.
    Current,
    /// What is wanted now, as it was set up before: with another environment, other variables or limits.
    Updating,
    /// Something, but what is wanted now is not there yet.
    Former,
    /// Something, and what is wanted now cannot be.
    FormerFailed,
    /// Nothing yet.
    Nothing,
    /// Nothing, and what is wanted cannot be.
    Failed,
    /// Not known yet; its endpoint stays as it is.
    Unheard,
}

impl Facts<'_> {
    pub(super) fn generation(&self) -> i64 {
        self.app.metadata.generation.unwrap_or_default()
    }

    pub(super) fn wanted_replicas(&self) -> usize {
        usize::try_from(self.app.spec.replicas).unwrap_or(0)
    }

    /// `desiredReplicas`
    pub(super) fn desired(&self) -> usize {
        self.wanted_replicas().min(self.eligible)
    }

    pub(super) fn stored(&self) -> Option<&AppStatus> {
        self.app.status.as_ref()
    }
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// The status.
pub(crate) fn assemble(facts: &Facts<'_>) -> AppStatus {
    let empty = AppStatus::default();
    let stored = facts.stored().unwrap_or(&empty);
    let (replicas, desired) = (facts.ready_nodes.len(), facts.desired());
    let conditions = conditions(facts);
    let stores = facts
        .stores
        .clone()
        .unwrap_or_else(|| stored.stores.clone());
    AppStatus {
        observed_generation: facts.generation(),
        image: facts.image.clone().or_else(|| stored.image.clone()),
        revision: [&facts.revision, &facts.running, &stored.revision]
            .into_iter()
            .find_map(Clone::clone),
        serving_revision: serving_revision(facts, stored),
        url: facts.has_service.then(|| url(facts)),
        port: facts.port.map(i32::from).or(stored.port),
        replicas: count(replicas),
        desired_replicas: count(desired),
        ready: Some(format!("{replicas}/{desired}")),
        selector: Some(format!("shoal.dev/app={}", facts.key.name)),
        nodes: nodes(facts, stored),
        summary: Some(Summary {
            nodes: joined(facts.ready_nodes.iter().map(String::as_str)),
            stores: joined(stores.iter().map(|store| store.store.as_str())),
            reason: conditions.summary_reason(),
        }),
        stores,
        conditions: conditions.into_list(),
    }
}

fn url(facts: &Facts<'_>) -> String {
    let (name, namespace) = (&facts.key.name, &facts.key.namespace);
    match facts.app.spec.service.port {
        HTTP_PORT => format!("http://{name}.{namespace}"),
        port => format!("http://{name}.{namespace}:{port}"),
    }
}

/// The revision that most ready nodes serve.
fn serving_revision(facts: &Facts<'_>, stored: &AppStatus) -> Option<String> {
    if facts.ready_nodes.is_empty() {
        return None;
    }
    let count = |revision: &String| {
        facts
            .serving
            .iter()
            .filter(|other| *other == revision)
            .count()
    };
    let most = facts
        .serving
        .iter()
        .max_by_key(|revision| (count(revision), *revision))
        .cloned();
    most.or_else(|| stored.serving_revision.clone())
}

fn nodes(facts: &Facts<'_>, stored: &AppStatus) -> Vec<NodeStatus> {
    let status = |node: &NodeFact| {
        let ready = facts.ready_nodes.contains(&node.name);
        let known = stored.nodes.iter().find(|known| known.name == node.name);
        match known {
            Some(known) if node.served == Served::Unheard && known.ready == ready => known.clone(),
            _ => NodeStatus {
                name: node.name.clone(),
                ready,
                reason: node.reason.clone(),
            },
        }
    };
    let mut nodes: Vec<NodeStatus> = facts.nodes.iter().map(status).collect();
    nodes.sort_by(|a, b| (a.ready, &a.name).cmp(&(b.ready, &b.name)));
    nodes.truncate(MOST_NODES);
    nodes
}

/// Names separated by commas; what does not fit is counted.
fn joined<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.collect();
    let mut text = String::new();
    for (n, name) in names.iter().enumerate() {
        if text.len() + name.len() > LONGEST_SUMMARY - 16 {
            text.push_str(&format!(" +{}", names.len() - n));
            break;
        }
        if n > 0 {
            text.push(',');
        }
        text.push_str(name);
    }
    (!text.is_empty()).then_some(text)
}
