//! A runtime that does as it is told, at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;

use super::World;
use crate::{
    AppRef, AppReport, Assignment, ClassHealth, Hello, Index, Instruction, ObjectKey,
    PodInstruction, ReportState, RuntimePod,
};

pub(in crate::tests) struct FakeRuntime {
    pub(in crate::tests) pod: RuntimePod,
    pub(in crate::tests) alive: bool,
    pub(in crate::tests) draining: bool,
    pub(in crate::tests) engine: String,
    pub(in crate::tests) apps: BTreeMap<AppRef, AppReport>,
    pub(in crate::tests) assigned: BTreeMap<AppRef, Assignment>,
    /// Revisions that do not link here.
    pub(in crate::tests) broken: BTreeSet<String>,
    /// It is slow: assignments stay `Fetching`.
    pub(in crate::tests) slow: bool,
    /// It gets no code.
    lacks_code: bool,
    /// What it says of its classes.
    pub(super) health: Vec<ClassHealth>,
}

impl FakeRuntime {
    fn new(name: &str, node: &str, number: u8, created: Timestamp) -> Self {
        let ips = [format!("10.0.0.{number}"), format!("fd00::{number:x}")];
        Self {
            pod: RuntimePod {
                uid: format!("uid-{name}").as_str().into(),
                key: ObjectKey::new("shoal-system", name),
                node: node.to_owned(),
                ips: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
                deleting: false,
                ended: false,
                ready: true,
                created,
            },
            alive: true,
            draining: false,
            engine: "engine-1".to_owned(),
            apps: BTreeMap::new(),
            assigned: BTreeMap::new(),
            broken: BTreeSet::new(),
            slow: false,
            lacks_code: false,
            health: Vec::new(),
        }
    }

    pub(in crate::tests) fn connect(&self, index: &mut Index, now: Timestamp) {
        index.runtime_hello(
            &self.pod.uid,
            Hello {
                engine_key: self.engine.clone(),
            },
        );
        index.runtime_report(
            &self.pod.uid,
            true,
            self.apps.values().cloned().collect(),
            &[],
        );
        index.store_health(&self.pod.uid, self.health.clone(), now);
        if self.draining {
            index.runtime_draining(&self.pod.uid);
        }
    }

    pub(super) fn obey(&mut self, told: &PodInstruction, index: &mut Index) {
        if !self.alive {
            return;
        }
        match &told.instruction {
            Instruction::Assign(assignment) => {
                let before = self
                    .apps
                    .get(&told.app)
                    .map(|report| report.serving_revision.clone());
                let report = self.take(assignment, before.unwrap_or_default());
                self.assigned
                    .insert(told.app.clone(), (**assignment).clone());
                if self.apps.get(&told.app) != Some(&report) {
                    self.apps.insert(told.app.clone(), report.clone());
                    index.runtime_report(&self.pod.uid, false, vec![report], &[]);
                }
            }
            Instruction::Stop => {
                self.assigned.remove(&told.app);
                if self.apps.remove(&told.app).is_some() {
                    index.runtime_report(
                        &self.pod.uid,
                        false,
                        Vec::new(),
                        std::slice::from_ref(&told.app),
                    );
                }
            }
            Instruction::Keep => {}
        }
    }

    fn take(&self, assignment: &Assignment, before: String) -> AppReport {
        let (state, serving_revision, reason) = if self.broken.contains(&assignment.revision) {
            (ReportState::Failed, before, "LinkFailed")
        } else if self.lacks_code {
            (ReportState::Fetching, before, "CodeUnavailable")
        } else if self.slow && before != assignment.revision {
            (ReportState::Fetching, before, "")
        } else {
            (ReportState::Ready, assignment.revision.clone(), "")
        };
        AppReport {
            app: assignment.app.clone(),
            generation: assignment.generation.clone(),
            serving_revision,
            state,
            reason: reason.to_owned(),
            message: "as it is".to_owned(),
        }
    }
}

impl World {
    /// A node with a runtime joins.
    pub(in crate::tests) fn add_node(&mut self, name: &str) {
        self.api.nodes.entry(name.to_owned()).or_default();
        self.apply_node(name, |_| {});
        self.add_runtime(&format!("runtime-{name}"), name);
    }

    /// Changes a node object.
    pub(in crate::tests) fn apply_node(&mut self, name: &str, edit: impl FnOnce(&mut Node)) {
        let node = self.api.nodes.entry(name.to_owned()).or_default();
        node.metadata.name = Some(name.to_owned());
        edit(node);
        self.index.apply(node.clone());
    }

    /// A runtime pod starts on a node.
    pub(in crate::tests) fn add_runtime(&mut self, pod: &str, node: &str) {
        let number = u8::try_from(self.runtimes.len() + 1).unwrap();
        let runtime = FakeRuntime::new(pod, node, number, self.now);
        self.index.apply_runtime_pod(runtime.pod.clone());
        runtime.connect(&mut self.index, self.now);
        self.runtimes.insert(runtime.pod.uid.to_string(), runtime);
    }

    pub(in crate::tests) fn runtime(&mut self, node: &str) -> &mut FakeRuntime {
        self.runtimes
            .values_mut()
            .find(|runtime| runtime.pod.node == node)
            .unwrap()
    }

    /// A node is silent: dead, as far as the streams tell.
    pub(in crate::tests) fn kill(&mut self, node: &str) {
        let runtime = self.runtime(node);
        runtime.alive = false;
        let uid = runtime.pod.uid.clone();
        self.index.runtime_lost(&uid);
    }

    /// The runtime of a node is about to end.
    pub(in crate::tests) fn drain(&mut self, node: &str) {
        let runtime = self.runtime(node);
        runtime.draining = true;
        let uid = runtime.pod.uid.clone();
        self.index.runtime_draining(&uid);
    }

    /// Its runtime is back, with what it had.
    pub(in crate::tests) fn revive(&mut self, node: &str) {
        self.runtime(node).alive = true;
        self.runtime(node).draining = false;
        let uid = self.runtime(node).pod.uid.to_string();
        self.runtimes[&uid].connect(&mut self.index, self.now);
        let all = self.index.node_assignments(&uid);
        let runtime = self.runtimes.get_mut(&uid).unwrap();
        let named: BTreeSet<AppRef> = all
            .set
            .iter()
            .map(|a| a.app.clone())
            .chain(all.keep.iter().cloned())
            .collect();
        runtime.apps.retain(|app, _| named.contains(app));
        runtime.connect(&mut self.index, self.now);
    }

    /// A runtime does not get the code of its apps, or does again; what it serves it goes on serving.
    pub(in crate::tests) fn lacks_code(&mut self, node: &str, lacks: bool) {
        let runtime = self.runtime(node);
        runtime.lacks_code = lacks;
        let assigned = runtime.assigned.values();
        let reports: Vec<AppReport> = assigned
            .map(|one| {
                let known = runtime.apps.get(&one.app);
                let before = known.map(|report| report.serving_revision.clone());
                runtime.take(one, before.unwrap_or_default())
            })
            .collect();
        for report in &reports {
            runtime.apps.insert(report.app.clone(), report.clone());
        }
        let uid = runtime.pod.uid.clone();
        self.index.runtime_report(&uid, false, reports, &[]);
    }

    /// What a slow runtime was fetching is there.
    pub(in crate::tests) fn catch_up(&mut self, node: &str) {
        let runtime = self.runtime(node);
        runtime.slow = false;
        let uid = runtime.pod.uid.clone();
        let reports: Vec<AppReport> = runtime
            .assigned
            .values()
            .map(|assignment| runtime.take(assignment, String::new()))
            .collect();
        for report in &reports {
            runtime.apps.insert(report.app.clone(), report.clone());
        }
        self.index.runtime_report(&uid, false, reports, &[]);
    }
}
