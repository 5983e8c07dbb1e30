//! What runtimes say on their streams, and how their pods stand.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use jiff::Timestamp;

use super::{AppReport, Hello, Index, RuntimePod};
use crate::{AppKey, AppRef, ObjectKey, PORTS};

#[derive(Debug, Default)]
pub(super) struct Session {
    engine_key: String,
    pub(super) connected: bool,
    pub(super) draining: bool,
    /// It has sent a full report since it was last lost.
    pub(super) reported: bool,
    reports: BTreeMap<AppRef, AppReport>,
}

/// Runtime pods by uid and by node, their sessions, and who reports which App.
#[derive(Debug)]
pub(crate) struct Runtimes {
    pub(super) started: Timestamp,
    pub(super) pods: HashMap<Arc<str>, RuntimePod>,
    pub(super) by_key: HashMap<ObjectKey, Arc<str>>,
    pub(super) by_node: BTreeMap<String, BTreeSet<Arc<str>>>,
    pub(super) sessions: HashMap<Arc<str>, Session>,
    reporting: HashMap<AppKey, BTreeSet<Arc<str>>>,
    engine_keys: BTreeSet<String>,
}

impl Runtimes {
    pub(super) fn new(started: Timestamp) -> Self {
        Self {
            started,
            pods: HashMap::new(),
            by_key: HashMap::new(),
            by_node: BTreeMap::new(),
            sessions: HashMap::new(),
            reporting: HashMap::new(),
            engine_keys: BTreeSet::new(),
        }
    }

    /// A pod.
    pub(crate) fn pod(&self, uid: &str) -> Option<&RuntimePod> {
        self.pods.get(uid)
    }

    /// uids of all pods.
    pub(crate) fn pod_uids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.pods.keys()
    }

    /// Nodes with their pods.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&String, &BTreeSet<Arc<str>>)> {
        self.by_node.iter()
    }

    /// Engines that code is needed for.
    pub(crate) fn engine_keys(&self) -> &BTreeSet<String> {
        &self.engine_keys
    }

    /// Engine of a pod, once it was heard.
    pub(crate) fn engine_key(&self, pod: &str) -> Option<&str> {
        self.sessions
            .get(pod)
            .map(|session| session.engine_key.as_str())
    }

    /// What a pod says about an App.
    pub(crate) fn report(&self, pod: &str, app: &AppRef) -> Option<&AppReport> {
        self.sessions.get(pod)?.reports.get(app)
    }

    /// Pods that say something about an App of this name.
    pub(crate) fn reporting(&self, app: &AppKey) -> impl Iterator<Item = &Arc<str>> {
        self.reporting.get(app).into_iter().flatten()
    }

    /// Every App of this name that a pod says something about.
    pub(crate) fn reported_as(&self, pod: &str, app: &AppKey) -> Vec<AppRef> {
        let Some(session) = self.sessions.get(pod) else {
            return Vec::new();
        };
        let first = AppRef::new(app, "");
        let same = |found: &&AppRef| found.namespace == first.namespace && found.name == first.name;
        session
            .reports
            .range(first.clone()..)
            .map(|(app, _)| app)
            .take_while(same)
            .cloned()
            .collect()
    }

    pub(super) fn apps_reported_by(&self, pod: &str) -> BTreeSet<AppKey> {
        let reports = self
            .sessions
            .get(pod)
            .into_iter()
            .flat_map(|session| session.reports.keys());
        reports.map(AppRef::key).collect()
    }

    pub(super) fn reported_apps(&self) -> Vec<AppKey> {
        self.reporting.keys().cloned().collect()
    }

    /// Replaces or changes what a pod says; returns the Apps for which something is new.
    pub(super) fn report_changes(
        &mut self,
        pod: &Arc<str>,
        full: bool,
        reports: Vec<AppReport>,
        removed: &[AppRef],
    ) -> BTreeSet<AppKey> {
        let mut touched = BTreeSet::new();
        let session = self.sessions.entry(Arc::clone(pod)).or_default();
        let named: BTreeSet<&AppRef> = reports.iter().map(|report| &report.app).collect();
        let mut gone: Vec<AppRef> = removed.to_vec();
        if full {
            gone.extend(
                session
                    .reports
                    .keys()
                    .filter(|app| !named.contains(app))
                    .cloned(),
            );
        }
        for app in gone {
            if session.reports.remove(&app).is_some() {
                touched.insert(app.key());
            }
        }
        for report in reports.into_iter().map(AppReport::bounded) {
            let known = session.reports.contains_key(&report.app);
            // A node has no more apps than there are ports: what a runtime says beyond is no report.
            if !known && session.reports.len() >= PORTS {
                continue;
            }
            if session.reports.get(&report.app) != Some(&report) {
                touched.insert(report.app.key());
                session.reports.insert(report.app.clone(), report);
            }
        }
        for app in &touched {
            self.index_reporting(pod, app);
        }
        touched
    }

    fn index_reporting(&mut self, pod: &Arc<str>, app: &AppKey) {
        if self.reported_as(pod, app).is_empty() {
            if let Some(pods) = self.reporting.get_mut(app) {
                pods.remove(pod);
                if pods.is_empty() {
                    self.reporting.remove(app);
                }
            }
        } else {
            self.reporting
                .entry(app.clone())
                .or_default()
                .insert(Arc::clone(pod));
        }
    }

    /// Returns whether there is an engine that was not there before.
    pub(super) fn refresh_engine_keys(&mut self) -> bool {
        let keys: BTreeSet<String> = self
            .sessions
            .values()
            .map(|session| session.engine_key.clone())
            .filter(|key| !key.is_empty())
            .collect();
        let more = !keys.is_subset(&self.engine_keys);
        self.engine_keys = keys;
        more
    }
}

impl Index {
    /// The runtime of a pod is connected. What it said before holds until its full report.
    pub fn runtime_hello(&mut self, pod: &str, hello: Hello) {
        self.forget_store_health(pod);
        let session = self.runtimes.sessions.entry(pod.into()).or_default();
        session.connected = true;
        session.draining = false;
        session.engine_key = hello.engine_key;
        if self.runtimes.refresh_engine_keys() {
            let all: Vec<AppKey> = self.apps.keys().cloned().collect();
            self.dirty.extend(all);
        }
        self.runtime_changed(pod);
    }

    /// The runtime of a pod reports: all that it has (`full`) or changes; `removed` (of changes) are gone. Changes
    /// of nothing, before the first full report, do not count.
    pub fn runtime_report(
        &mut self,
        pod: &str,
        full: bool,
        reports: Vec<AppReport>,
        removed: &[AppRef],
    ) {
        let Some(session) = self.runtimes.sessions.get_mut(pod) else {
            return;
        };
        let is_first = !session.reported;
        if is_first && !full {
            return;
        }
        session.reported = true;
        let touched = self
            .runtimes
            .report_changes(&pod.into(), full, reports, removed);
        self.dirty.extend(touched);
        if is_first {
            self.runtime_changed(pod);
        }
    }

    /// The runtime of a pod does not answer any more, or never did.
    pub fn runtime_lost(&mut self, pod: &str) {
        let uid: Arc<str> = pod.into();
        self.runtime_changed(pod);
        self.forget_store_health(pod);
        self.runtimes.report_changes(&uid, true, Vec::new(), &[]);
        if !self.runtimes.pods.contains_key(&uid) {
            self.runtimes.sessions.remove(&uid);
            return;
        }
        let session = self.runtimes.sessions.entry(uid).or_default();
        session.connected = false;
        session.reported = false;
    }

    /// The runtime of a pod is about to end: its endpoints are to leave.
    pub fn runtime_draining(&mut self, pod: &str) {
        if let Some(session) = self.runtimes.sessions.get_mut(pod) {
            session.draining = true;
            self.runtime_changed(pod);
        }
    }

    fn runtime_changed(&mut self, pod: &str) {
        self.touch_pod(pod);
        if let Some(node) = self.runtimes.pod(pod).map(|pod| pod.node.clone()) {
            self.touch_node(&node);
        }
    }

    pub(super) fn touch_pod(&mut self, pod: &str) {
        self.fleet = None;
        let reported = self.runtimes.apps_reported_by(pod);
        self.dirty.extend(reported);
        self.dirty.extend(self.placements.told(pod));
        self.dirty.extend(self.slices.services_naming(pod));
    }
}
