//! What this node says about its apps. Only changes travel.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
};

use parking_lot::Mutex;
use shoal_crds::Reason;
use tokio::sync::watch;

use crate::assignment::AppRef;

/// How an app stands on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Its code is on the way or being loaded.
    Fetching,
    /// The code is loaded and linked, the port is open: the app answers.
    Ready,
    /// The code is here, for the case that the node is needed.
    Standby,
    /// It cannot be served; see the reason.
    Failed,
}

impl State {
    /// Lower-case name, as metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fetching => "fetching",
            Self::Ready => "ready",
            Self::Standby => "standby",
            Self::Failed => "failed",
        }
    }
}

/// One app on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppReport {
    /// Which app.
    pub app: AppRef,
    /// `Assignment.generation` that this speaks of.
    pub generation: String,
    /// Revision whose code answers requests now, if any does.
    pub serving_revision: Option<String>,
    /// How it stands.
    pub state: State,
    /// Why; `None` when all is well.
    pub reason: Option<Reason>,
    /// What is wrong, where, and what to do; empty when all is well.
    pub message: String,
    /// Address that the app listens on, while it does.
    pub address: Option<SocketAddr>,
}

/// What changed since a reader last looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Apps whose report is new or different.
    pub reports: Vec<AppReport>,
    /// Apps that are gone, their port closed.
    pub removed: Vec<AppRef>,
}

/// Most removals that are remembered for readers who have not looked yet.
const REMOVALS: usize = 100_000;

/// All reports of the node.
pub(crate) struct ReportHub {
    state: Mutex<Reports>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Reports {
    sequence: u64,
    apps: HashMap<AppRef, (u64, AppReport)>,
    removed: BTreeMap<u64, AppRef>,
}

/// Follows the reports of a node. Each reader sees every change once.
pub struct ReportReader {
    hub: Arc<ReportHub>,
    changed: watch::Receiver<u64>,
    seen: u64,
}

impl ReportHub {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changed: watch::Sender::new(0),
        })
    }

    /// A reader to whom everything is new.
    pub(crate) fn reader(self: &Arc<Self>) -> ReportReader {
        ReportReader {
            hub: Arc::clone(self),
            changed: self.changed.subscribe(),
            seen: 0,
        }
    }

    /// Reports what is different from the last report.
    pub(crate) fn set(&self, report: AppReport) {
        let mut state = self.state.lock();
        if state
            .apps
            .get(&report.app)
            .is_some_and(|(_, known)| *known == report)
        {
            return;
        }
        let next = state.next();
        state.apps.insert(report.app.clone(), (next, report));
        drop(state);
        self.changed.send_replace(next);
    }

    pub(crate) fn remove(&self, app: &AppRef) {
        let mut state = self.state.lock();
        if state.apps.remove(app).is_none() {
            return;
        }
        let next = state.next();
        state.removed.insert(next, app.clone());
        while state.removed.len() > REMOVALS {
            state.removed.pop_first();
        }
        drop(state);
        self.changed.send_replace(next);
    }

    /// Every app that is reported.
    pub(crate) fn apps(&self) -> Vec<AppRef> {
        self.state.lock().apps.keys().cloned().collect()
    }

    pub(crate) fn get(&self, app: &AppRef) -> Option<AppReport> {
        self.state
            .lock()
            .apps
            .get(app)
            .map(|(_, report)| report.clone())
    }

    /// How many apps are in which state; every state is listed.
    pub(crate) fn count_by_state(&self) -> BTreeMap<State, u64> {
        let all = [State::Fetching, State::Ready, State::Standby, State::Failed];
        let mut counts = BTreeMap::from(all.map(|state| (state, 0)));
        for (_, report) in self.state.lock().apps.values() {
            *counts.entry(report.state).or_default() += 1;
        }
        counts
    }

    fn since(&self, seen: u64) -> (u64, Changes) {
        let state = self.state.lock();
        let mut reports: Vec<_> = state
            .apps
            .values()
            .filter(|(at, _)| *at > seen)
            .cloned()
            .collect();
        reports.sort_unstable_by_key(|(at, _)| *at);
        let removed = state.removed.range(seen.saturating_add(1)..);
        let removed = removed
            .map(|(_, app)| app)
            // One that came back meanwhile is not gone.
            .filter(|app| !state.apps.contains_key(*app))
            .cloned()
            .collect();
        let reports = reports.into_iter().map(|(_, report)| report).collect();
        (state.sequence, Changes { reports, removed })
    }
}

impl Reports {
    fn next(&mut self) -> u64 {
        self.sequence = self.sequence.saturating_add(1);
        self.sequence
    }
}

impl ReportReader {
    /// Waits until something is different from what this reader saw last. May be dropped at any
    /// point without losing a change.
    pub async fn changed(&mut self) -> Changes {
        loop {
            self.changed.borrow_and_update();
            let (seen, changes) = self.hub.since(self.seen);
            if seen > self.seen {
                self.seen = seen;
                if changes != Changes::default() {
                    return changes;
                }
            }
            if self.changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Everything, as it is now; the next change is one from here.
    pub fn all(&mut self) -> Vec<AppReport> {
        let (seen, changes) = self.hub.since(0);
        self.seen = seen;
        changes.reports
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &str, state: State) -> AppReport {
        AppReport {
            app: AppRef {
                namespace: "ns".into(),
                name: name.into(),
                uid: String::new(),
            },
            generation: "g".into(),
            serving_revision: None,
            state,
            reason: None,
            message: String::new(),
            address: None,
        }
    }

    #[tokio::test]
    async fn a_reader_sees_each_change_once() {
        let hub = ReportHub::new();
        let mut reader = hub.reader();
        hub.set(report("a", State::Fetching));
        hub.set(report("b", State::Fetching));
        hub.set(report("b", State::Ready));
        let changes = reader.changed().await;
        assert_eq!(
            changes.reports,
            [report("a", State::Fetching), report("b", State::Ready)]
        );

        hub.set(report("a", State::Fetching));
        hub.set(report("c", State::Ready));
        hub.remove(&report("b", State::Ready).app);
        let changes = reader.changed().await;
        assert_eq!(
            changes.reports,
            [report("c", State::Ready)],
            "what is the same is no change"
        );
        assert_eq!(changes.removed, [report("b", State::Ready).app]);
        assert_eq!(reader.all().len(), 2);
        assert_eq!(
            hub.reader().changed().await.reports.len(),
            2,
            "everything is new to another"
        );
    }

    #[tokio::test]
    async fn an_app_that_came_back_is_not_gone() {
        let hub = ReportHub::new();
        let mut reader = hub.reader();
        hub.set(report("a", State::Ready));
        hub.remove(&report("a", State::Ready).app);
        hub.set(report("a", State::Fetching));
        let changes = reader.changed().await;
        assert_eq!(
            changes,
            Changes {
                reports: vec![report("a", State::Fetching)],
                removed: vec![]
            }
        );
    }
}
