//! A small world around the index: an API server that keeps objects, runtimes that do as they are told, and a
//! builder that answers.

mod api;
mod builder;
mod classes;
mod runtime;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use shoal_crds::{App, AppStatus, Condition, ConditionStatus};

pub(super) use api::Api;
pub(super) use builder::{Builder, component, refusal};
pub(super) use classes::{memory, postgres};
pub(super) use runtime::FakeRuntime;
pub(super) use values::Objects;

use crate::{AppEvent, AppKey, Index, Plan, PortRecord, Question, WriteAction, plan};

pub(super) const NAMESPACE: &str = "shop";

pub(super) struct World {
    pub(super) index: Index,
    pub(super) now: Timestamp,
    pub(super) api: Api,
    pub(super) builder: Builder,
    /// Secrets and ConfigMaps.
    pub(super) objects: Objects,
    pub(super) runtimes: BTreeMap<String, FakeRuntime>,
    pub(super) record: PortRecord,
    /// The store pod has no volume, and is to have none.
    pub(super) ephemeral: bool,
    /// Every write so far.
    pub(super) writes: Vec<WriteAction>,
    pub(super) events: Vec<AppEvent>,
    pub(super) rechecks: BTreeMap<AppKey, Timestamp>,
    pub(super) plans: usize,
}

pub(super) fn key(name: &str) -> AppKey {
    AppKey::new(NAMESPACE, name)
}

impl World {
    /// A cluster of so many nodes, whose runtimes are connected.
    pub(super) fn new(nodes: usize) -> Self {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let mut world = Self {
            index: Index::new(now),
            now,
            api: Api::default(),
            builder: Builder::default(),
            objects: Objects::default(),
            runtimes: BTreeMap::new(),
            record: PortRecord::default(),
            ephemeral: false,
            writes: Vec::new(),
            events: Vec::new(),
            rechecks: BTreeMap::new(),
            plans: 0,
        };
        world.index.lead(&world.record, now);
        world.label_namespace(&[]);
        for n in 1..=nodes {
            world.add_node(&format!("node{n}"));
        }
        world
            .index
            .store_pod_health("store-0", Vec::new(), world.now);
        world.settle();
        world
    }

    /// Applies an App of one image, as a user does.
    pub(super) fn app(&mut self, name: &str, image: &str) {
        let image = image.to_owned();
        self.edit(name, |app| app.spec.image = Some(image));
    }

    /// Makes or changes an App, as a user does.
    pub(super) fn edit(&mut self, name: &str, edit: impl FnOnce(&mut App)) {
        let app = self.api.edit_app(&key(name), self.now, edit);
        self.index.apply(app);
    }

    /// Deletes an App; what it owns goes too.
    pub(super) fn delete_app(&mut self, name: &str) {
        for gone in self.api.delete_app(&key(name)) {
            gone(&mut self.index);
        }
    }

    /// Does what plans say until nothing is left to do now.
    pub(super) fn settle(&mut self) {
        for _ in 0..500 {
            let dirty = self.index.take_dirty();
            if dirty.is_empty() {
                return;
            }
            for app in dirty {
                self.plan_one(&app);
            }
            self.reserve_ports();
        }
        panic!(
            "the world does not settle: {:?}",
            self.writes.iter().rev().take(6).collect::<Vec<_>>()
        );
    }

    pub(super) fn plan_one(&mut self, app: &AppKey) -> Plan {
        self.plans += 1;
        let planned = plan(&mut self.index, app, self.now);
        match planned.recheck_at {
            Some(at) => {
                assert!(
                    at > self.now,
                    "{app} is to be planned again at once: {planned:?}"
                );
                self.rechecks.insert(app.clone(), at);
            }
            None => {
                self.rechecks.remove(app);
            }
        }
        self.events.extend(planned.events.clone());
        for instruction in &planned.instructions {
            if let Some(runtime) = self.runtimes.get_mut(&*instruction.pod) {
                runtime.obey(instruction, &mut self.index);
            }
        }
        for write in planned.writes.clone() {
            let action = write.action;
            if self
                .api
                .execute(app, action.clone(), self.now, &mut self.index)
            {
                self.writes.push(action);
            }
        }
        for question in planned.ask.clone() {
            self.answer(&question);
        }
        planned
    }

    fn answer(&mut self, question: &Question) {
        if !self.builder.up {
            return;
        }
        self.builder.asked.push(question.clone());
        match question {
            Question::Resolve { app, image, .. } => {
                let answer = self.builder.resolve(image);
                self.index.resolved(app, image, answer, self.now);
            }
            Question::Build {
                image,
                digest,
                engine_keys,
                ..
            } => {
                let answer = self.builder.build(image, digest, engine_keys);
                self.index
                    .built(image, digest, engine_keys, answer, self.now);
            }
        }
    }

    /// The builder is there again, and is asked what is open.
    pub(super) fn builder_up(&mut self, up: bool) {
        self.builder.up = up;
        if up {
            self.touch_everything();
            self.settle();
        }
    }

    pub(super) fn touch_everything(&mut self) {
        let all: Vec<AppKey> = self.api.apps.keys().cloned().collect();
        for app in all {
            self.index.touch(&app);
        }
    }

    fn reserve_ports(&mut self) {
        if let Some(record) = self.index.ports_to_reserve(self.now) {
            self.index.ports_reserved(&record);
            self.record = record;
        }
    }

    /// Time passes; Apps are planned again when they asked for it.
    pub(super) fn advance(&mut self, seconds: i64) {
        let until = self.now + SignedDuration::from_secs(seconds);
        self.settle();
        for _ in 0..10_000 {
            let Some(at) = self
                .rechecks
                .values()
                .min()
                .copied()
                .filter(|at| *at <= until)
            else {
                self.now = until;
                return;
            };
            self.now = self.now.max(at);
            let due: Vec<AppKey> = self
                .rechecks
                .iter()
                .filter(|(_, at)| **at <= self.now)
                .map(|(k, _)| k.clone())
                .collect();
            for app in due {
                self.rechecks.remove(&app);
                self.index.touch(&app);
            }
            self.settle();
        }
        panic!("the world plans without end: {:?}", self.rechecks);
    }

    /// Another operator takes over: a new index from the same objects. Runtimes that live are heard, and the others
    /// do not answer when they are asked.
    pub(super) fn restart(&mut self) {
        self.restart_unheard();
        self.hear_all();
        for runtime in self.runtimes.values().filter(|runtime| !runtime.alive) {
            self.index.runtime_lost(&runtime.pod.uid);
        }
        self.settle();
    }

    /// The same, before any runtime was heard.
    pub(super) fn restart_unheard(&mut self) {
        self.index = Index::new(self.now);
        self.index.set_store_ephemeral(self.ephemeral);
        self.rechecks.clear();
        self.api.feed_to(&mut self.index);
        for runtime in self.runtimes.values() {
            self.index.apply_runtime_pod(runtime.pod.clone());
        }
        let record = self.record.clone();
        self.index.lead(&record, self.now);
        self.settle();
    }

    /// Every runtime connects and reports.
    pub(super) fn hear_all(&mut self) {
        for runtime in self.runtimes.values().filter(|runtime| runtime.alive) {
            runtime.connect(&mut self.index, self.now);
        }
        self.index.store_pod_health("store-0", Vec::new(), self.now);
    }

    /// The runtime of a node connects and reports.
    pub(super) fn hear(&mut self, node: &str) {
        let runtime = self.runtimes.values().find(|r| r.pod.node == node).unwrap();
        runtime.connect(&mut self.index, self.now);
    }

    /// What is written though there is no news: by another look, and after a restart.
    pub(super) fn written_without_news(&mut self) -> [Vec<WriteAction>; 2] {
        self.written();
        self.touch_everything();
        self.settle();
        let by_another_look = self.written();
        self.restart();
        self.advance(90);
        [by_another_look, self.written()]
    }

    /// What was written since, and forgets it.
    pub(super) fn written(&mut self) -> Vec<WriteAction> {
        std::mem::take(&mut self.writes)
    }

    pub(super) fn kinds_written(&mut self) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for action in self.written() {
            *kinds.entry(action.kind()).or_default() += 1;
        }
        kinds
    }

    pub(super) fn status(&self, name: &str) -> AppStatus {
        self.api.apps[&key(name)].status.clone().unwrap_or_default()
    }

    pub(super) fn condition(&self, name: &str, type_: &str) -> Option<Condition> {
        self.status(name)
            .conditions
            .into_iter()
            .find(|condition| condition.type_ == type_)
    }

    /// `True/AllNodesReady`
    pub(super) fn says(&self, name: &str, type_: &str) -> String {
        match self.condition(name, type_) {
            Some(condition) => format!("{}/{}", condition.status.as_str(), condition.reason),
            None => "absent".to_owned(),
        }
    }

    pub(super) fn is_ready(&self, name: &str) -> bool {
        self.condition(name, "Ready")
            .is_some_and(|c| c.status == ConditionStatus::True)
    }

    /// Nodes whose endpoints take traffic, as slices show.
    pub(super) fn ready_nodes(&self, name: &str) -> BTreeSet<String> {
        self.api
            .endpoints(&key(name))
            .into_iter()
            .filter(|e| e.ready)
            .map(|e| e.node)
            .collect()
    }

    /// An App that is applied and served.
    pub(super) fn ready_app(&mut self, name: &str) {
        self.builder.image(name, vec![component("", &["default"])]);
        self.app(name, name);
        self.advance(30);
        assert!(self.is_ready(name), "{:#?}", self.status(name));
        self.written();
        self.events.clear();
    }
}
