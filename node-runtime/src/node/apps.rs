//! The apps of the node, and what is wanted of each.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use shoal_crds::Reason;
use tokio::{sync::watch, task::JoinHandle};

use super::actor::{Actor, Wanted};
use crate::{
    app::{App, NodeContext},
    assignment::{AppRef, Assignment, Assignments, Digest, InvalidAssignment},
    code::CodeCache,
    listener::Serving,
    metrics::Metrics,
    report::{AppReport, ReportHub, State},
};

/// See the module.
pub(super) struct Apps {
    pub(super) context: Arc<NodeContext>,
    pub(super) code: Arc<CodeCache>,
    pub(super) reports: Arc<ReportHub>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) serving: Serving,
    pub(super) linger: Duration,
    pub(super) entries: Mutex<HashMap<AppRef, Entry>>,
}

/// An app that is here, or on its way out.
pub(super) struct Entry {
    wanted: watch::Sender<Wanted>,
    task: JoinHandle<()>,
    digests: Vec<Digest>,
    /// The last report speaks of an assignment that was not valid, not of the one that is wanted.
    refused: bool,
}

impl Apps {
    /// Takes in what is to be; the apps' own tasks do it.
    pub(super) fn apply(self: &Arc<Self>, assignments: Assignments) {
        let Assignments {
            full,
            set,
            removed,
            keep,
            code_keys,
        } = assignments;
        if !code_keys.is_empty() {
            self.code.trust(code_keys);
        }
        let mut entries = self.entries.lock();
        let mut listed: HashSet<AppRef> = keep.into_iter().collect();
        for assignment in set {
            match assignment {
                Ok(assignment) => {
                    listed.insert(assignment.app.clone());
                    self.assign(&mut entries, assignment);
                }
                Err(invalid) => {
                    listed.insert(invalid.app.clone());
                    self.refuse(&mut entries, invalid);
                }
            }
        }
        for app in &removed {
            self.stop(&mut entries, app);
        }
        if full {
            let known = entries.keys().cloned().chain(self.reports.apps());
            let gone: Vec<AppRef> = known.filter(|app| !listed.contains(app)).collect();
            for app in &gone {
                self.stop(&mut entries, app);
            }
        }
    }

    fn stop(&self, entries: &mut HashMap<AppRef, Entry>, app: &AppRef) {
        match entries.get_mut(app) {
            Some(entry) => entry.stop(),
            // It was never here but in a report that said why.
            None => self.reports.remove(app),
        }
    }

    fn assign(self: &Arc<Self>, entries: &mut HashMap<AppRef, Entry>, assignment: Assignment) {
        let digests = assignment
            .components
            .iter()
            .map(|c| c.digest.clone())
            .collect();
        if let Some(entry) = entries.get_mut(&assignment.app) {
            entry.digests = digests;
            entry.change(assignment);
            return;
        }
        let name = assignment.app.clone();
        let app = App::new(Arc::clone(&self.context), name.clone());
        self.metrics.add(&app);
        // Known from here on, not only when its task first runs.
        self.reports.set(AppReport {
            app: name.clone(),
            generation: assignment.generation.clone(),
            serving_revision: None,
            state: State::Fetching,
            reason: Some(Reason::Fetching),
            message: String::new(),
            address: None,
        });
        let (wanted, receiver) = watch::channel(Wanted::Assignment(Arc::new(assignment)));
        let actor = Actor {
            apps: Arc::downgrade(self),
            app,
            code: Arc::clone(&self.code),
            reports: Arc::clone(&self.reports),
            serving: self.serving.clone(),
            linger: self.linger,
            listener: None,
        };
        let task = tokio::spawn(actor.run(receiver));
        entries.insert(
            name,
            Entry {
                wanted,
                task,
                digests,
                refused: false,
            },
        );
    }

    /// An assignment that is not valid changes nothing but the report: what serves goes on.
    fn refuse(&self, entries: &mut HashMap<AppRef, Entry>, invalid: InvalidAssignment) {
        let InvalidAssignment {
            app,
            generation,
            message,
        } = invalid;
        let known = self.reports.get(&app);
        if known.as_ref().is_none_or(|known| known.message != message) {
            tracing::warn!(%app, message, "the assignment is not valid");
        }
        let before = entries.get_mut(&app).and_then(|entry| {
            entry.refused = true;
            known
        });
        self.reports.set(AppReport {
            app,
            generation,
            serving_revision: before.as_ref().and_then(|r| r.serving_revision.clone()),
            state: State::Failed,
            reason: Some(Reason::InvalidAssignment),
            message,
            address: before.and_then(|report| report.address),
        });
    }

    /// Forgets an app whose port is closed, unless it is wanted again by now.
    pub(super) fn retire(&self, app: &Arc<App>, wanted: &watch::Receiver<Wanted>) -> bool {
        let mut entries = self.entries.lock();
        if wanted.has_changed().unwrap_or(false) {
            return false;
        }
        entries.remove(app.name());
        self.metrics.remove(app);
        self.reports.remove(app.name());
        true
    }

    /// Code that some app needs.
    pub(super) fn needed(&self) -> HashSet<Digest> {
        let entries = self.entries.lock();
        entries
            .values()
            .flat_map(|entry| entry.digests.iter().cloned())
            .collect()
    }

    /// Closes every port; gives the tasks that do it.
    pub(super) fn close(&self) -> Vec<JoinHandle<()>> {
        let entries: Vec<Entry> = self
            .entries
            .lock()
            .drain()
            .map(|(_, entry)| entry)
            .collect();
        let close = |entry: Entry| {
            entry.wanted.send_replace(Wanted::Closed);
            entry.task
        };
        entries.into_iter().map(close).collect()
    }
}

impl Entry {
    fn change(&mut self, assignment: Assignment) {
        let refused = std::mem::take(&mut self.refused);
        let next = Wanted::Assignment(Arc::new(assignment));
        self.wanted.send_if_modified(|now| {
            let changed = refused || !now.is_same(&next);
            if changed {
                *now = next;
            }
            changed
        });
    }

    fn stop(&mut self) {
        self.digests.clear();
        self.wanted.send_if_modified(|now| {
            let changed = !matches!(now, Wanted::Nothing);
            *now = Wanted::Nothing;
            changed
        });
    }
}
