//! Placing an App, and how it stands on each node.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use shoal_crds::Reason;

use super::{Planner, own_slices};
use crate::{
    AppRef, Assignment,
    endpoint::{Decision, PodView, Shown},
    index::{AppReport, Fleet, FleetNode, Memory, ReportState, Standing},
    output::Plan,
    placement::{Candidate, place},
    revision::Content,
    slice::{WantedEndpoint, is_ready, is_terminating, pod_uid},
    status::{NodeFact, Served},
};

/// Where the App is placed.
pub(super) struct Placed {
    /// Nodes, with the runtime of each.
    pub(super) pods: BTreeMap<String, Arc<str>>,
    /// How many nodes could serve it.
    pub(super) eligible: usize,
    /// Not all of them were heard since the start, and until then may be.
    pub(super) unsettled_until: Option<Timestamp>,
}

impl Placed {
    /// Names of its nodes.
    pub(super) fn nodes(&self) -> BTreeSet<String> {
        self.pods.keys().cloned().collect()
    }
}

impl Planner<'_> {
    fn app_ref(&self) -> AppRef {
        AppRef::new(
            self.key,
            self.app.metadata.uid.as_deref().unwrap_or_default(),
        )
    }

    pub(super) fn report(&self, pod: &str) -> Option<&AppReport> {
        self.index.runtimes.report(pod, &self.app_ref())
    }

    /// Nodes on which the App is: as planned; until it is, as slices and status say.
    fn current_nodes(&self, memory: &Memory) -> BTreeSet<String> {
        let mut nodes = self
            .index
            .placements
            .of(self.key)
            .cloned()
            .unwrap_or_default();
        if !memory.planned {
            let stored = self.app.status.iter().flat_map(|status| &status.nodes);
            nodes.extend(stored.map(|node| node.name.clone()));
        }
        nodes
    }

    /// Chooses nodes. `may_move`: new nodes may be taken; `blocked`: none may be kept either.
    pub(super) fn place(
        &mut self,
        memory: &Memory,
        may_move: bool,
        blocked: bool,
        plan: &mut Plan,
    ) -> Placed {
        let fleet = self.index.fleet(self.now);
        let current = self.current_nodes(memory);
        let eligible = self.count_eligible(&fleet, &current);
        let wanted = usize::try_from(self.app.spec.replicas).unwrap_or(0);
        if let Some(until) = fleet
            .unheard_until
            .filter(|_| wanted >= eligible || !may_move)
        {
            plan.recheck(until);
        }
        let unsettled_until =
            Some(self.index.runtimes.heard_by()).filter(|at| fleet.has_unheard && *at > self.now);
        let nodes = if blocked {
            BTreeSet::new()
        } else {
            self.choose(&fleet, &current, wanted, may_move)
        };
        let runtime = |node: String| Some((fleet.nodes.get(&node)?.pod.clone(), node));
        let pods = nodes
            .into_iter()
            .filter_map(runtime)
            .map(|(pod, node)| (node, pod))
            .collect();
        Placed {
            pods,
            eligible,
            unsettled_until,
        }
    }

    fn fits(&self, node: &FleetNode) -> bool {
        node.facts.matches(&self.app.spec.node_selector)
    }

    /// Nodes that may get the App, or have it.
    fn count_eligible(&self, fleet: &Fleet, current: &BTreeSet<String>) -> usize {
        let here = current.iter().filter_map(|name| fleet.nodes.get(name));
        let closed = here
            .filter(|node| !node.facts.accepts_new && self.fits(node))
            .count();
        let open = if self.app.spec.node_selector.is_empty() {
            fleet.accepting
        } else {
            fleet
                .nodes
                .values()
                .filter(|node| node.facts.accepts_new && self.fits(node))
                .count()
        };
        closed + open
    }

    fn choose(
        &self,
        fleet: &Fleet,
        current: &BTreeSet<String>,
        wanted: usize,
        may_move: bool,
    ) -> BTreeSet<String> {
        let fits = |name: &&String| fleet.nodes.get(*name).is_some_and(|node| self.fits(node));
        let kept: BTreeSet<String> = current.iter().filter(fits).cloned().collect();
        // Most Apps most of the time: they stay, and no node has to be looked at.
        if kept.len() == wanted || (!may_move && kept.len() < wanted) {
            return kept;
        }
        let counted = self.index.placements.of(self.key);
        let nodes = fleet.nodes.iter().filter(|(_, node)| self.fits(node));
        let candidates: Vec<Candidate<'_>> = nodes
            .map(|(name, node)| {
                let is_counted = counted.is_some_and(|nodes| nodes.contains(name));
                let answers = || match node.standing {
                    Standing::Unheard(_) => is_counted,
                    _ => self.report(&node.pod).is_some_and(AppReport::answers),
                };
                let open = node.facts.accepts_new && node.standing == Standing::Serving;
                let load = self.index.placements.load(name);
                Candidate {
                    node: name,
                    zone: node.facts.zone(),
                    load: load.saturating_sub(usize::from(is_counted)),
                    current: kept.contains(name).then(answers),
                    accepts_new: may_move && open,
                }
            })
            .collect();
        place(self.key, wanted, &candidates)
    }

    /// Every pod that has, had, or is to have something to do with the App.
    pub(super) fn views(
        &self,
        placed: &Placed,
        memory: &Memory,
        ours: Option<&Service>,
    ) -> Vec<PodView> {
        let shown = ours.map(|service| self.shown(service)).unwrap_or_default();
        let app = self.app_ref();
        let reporting = self.index.runtimes.reporting(self.key);
        let reporting = reporting.filter(|pod| self.index.runtimes.report(pod, &app).is_some());
        let mut uids: BTreeSet<&Arc<str>> = placed.pods.values().chain(shown.keys()).collect();
        uids.extend(reporting);
        uids.extend(memory.instructions.keys().chain(memory.drains.keys()));
        let chosen: BTreeSet<&Arc<str>> = placed.pods.values().collect();
        let view = |uid: &Arc<str>| PodView {
            uid: Arc::clone(uid),
            standing: self.index.standing(uid, self.now),
            chosen: chosen.contains(uid),
            answers: self.report(uid).is_some_and(AppReport::answers),
            shown: shown.get(uid).copied(),
        };
        uids.into_iter().map(view).collect()
    }

    /// Endpoints in our slices, of all families together.
    fn shown(&self, service: &Service) -> BTreeMap<Arc<str>, Shown> {
        let mut all: BTreeMap<Arc<str>, Shown> = BTreeMap::new();
        for slice in own_slices(self.index, self.key, service) {
            for endpoint in &slice.endpoints {
                let Some(uid) = pod_uid(endpoint) else {
                    continue;
                };
                let one = Shown {
                    ready: is_ready(endpoint),
                    terminating: is_terminating(endpoint),
                };
                all.entry(uid.into())
                    .and_modify(|shown| {
                        shown.ready |= one.ready;
                        shown.terminating &= one.terminating;
                    })
                    .or_insert(one);
            }
        }
        all
    }

    /// Nodes that take traffic, as our slices show and will go on to show.
    pub(super) fn ready_nodes(
        &self,
        views: &[PodView],
        decisions: &BTreeMap<Arc<str>, Decision>,
    ) -> BTreeSet<String> {
        let stays = |view: &&PodView| {
            let decided = decisions
                .get(&view.uid)
                .and_then(|decision| decision.endpoint);
            matches!(decided, Some(WantedEndpoint::Ready | WantedEndpoint::Keep))
                && view.shown.is_some_and(|shown| shown.ready)
        };
        let pods = views
            .iter()
            .filter(stays)
            .filter_map(|view| self.index.runtimes.pod(&view.uid));
        pods.map(|pod| pod.node.clone()).collect()
    }

    /// Revisions that pods with an endpoint serve.
    pub(super) fn serving(&self, views: &[PodView]) -> Vec<String> {
        let shown = views
            .iter()
            .filter(|view| view.shown.is_some_and(|shown| shown.ready));
        let reports = shown.filter_map(|view| self.report(&view.uid));
        reports
            .filter(|report| report.answers())
            .map(|report| report.serving_revision.clone())
            .collect()
    }

    /// How the App stands on the nodes on which it is placed. `is_wanted`: `assignment` is what the spec asks for.
    pub(super) fn node_facts(
        &self,
        placed: &Placed,
        assignment: Option<&Assignment>,
        content: Option<&Content>,
        is_wanted: bool,
    ) -> Vec<NodeFact> {
        let fact = |(node, pod): (&String, &Arc<str>)| {
            let standing = self.index.standing(pod, self.now);
            let report = self.report(pod);
            let served = match (standing, report, assignment) {
                (Standing::Unheard(_), _, _) => Served::Unheard,
                (_, Some(report), Some(assignment)) => served(report, assignment, is_wanted),
                (_, Some(report), None) if report.answers() => Served::Unheard,
                _ => Served::Nothing,
            };
            let (reason, message) = why(served, report);
            let engine = self.index.runtimes.engine_key(pod).unwrap_or_default();
            let unbuilt = content.is_some_and(|content| !content.engine_keys.contains(engine));
            let building = unbuilt && served == Served::Nothing;
            let reason = if building {
                Some(Reason::Building.as_str().to_owned())
            } else {
                reason
            };
            NodeFact {
                name: node.clone(),
                served,
                reason,
                message,
            }
        };
        placed.pods.iter().map(fact).collect()
    }
}

fn served(report: &AppReport, assignment: &Assignment, is_wanted: bool) -> Served {
    let same = report.generation == assignment.generation;
    match (report.answers(), same, report.state) {
        (true, true, ReportState::Ready) if is_wanted => Served::Current,
        (true, true, ReportState::Failed) => Served::FormerFailed,
        (true, false, ReportState::Ready)
            if is_wanted && report.serving_revision == assignment.revision =>
        {
            Served::Updating
        }
        (false, true, ReportState::Failed) => Served::Failed,
        (true, _, _) => Served::Former,
        (false, _, _) => Served::Nothing,
    }
}

/// Whether the report's own reason says why the App is not served as wanted: that of a state which is over does not.
fn speaks(served: Served, report: &AppReport) -> bool {
    let failed = matches!(served, Served::Failed | Served::FormerFailed);
    !report.reason.is_empty() && (failed || report.state == ReportState::Fetching)
}

fn why(served: Served, report: Option<&AppReport>) -> (Option<String>, String) {
    let bounded = |text: &str, length: usize| text.chars().take(length).collect::<String>();
    match (served, report) {
        (Served::Current | Served::Updating | Served::Unheard, _) => (None, String::new()),
        (_, Some(report)) if speaks(served, report) => (
            Some(bounded(&report.reason, 128)),
            bounded(&report.message, 1024),
        ),
        (_, Some(report)) if report.state == ReportState::Fetching => {
            (Some(Reason::Fetching.as_str().to_owned()), String::new())
        }
        _ => (Some(Reason::Progressing.as_str().to_owned()), String::new()),
    }
}
