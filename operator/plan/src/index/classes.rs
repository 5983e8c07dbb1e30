//! StoreClasses, what is known of their credentials, and how the nodes that use them fare.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;
use shoal_crds::{
    DefaultClass, EMBEDDED_CLASS, Interface, Reason, ReclaimPolicy, StoreClass, default_class,
};

use super::{Index, version::is_old};
use crate::{Instruction, ObjectKey};

/// Most classes that one runtime may speak of.
const MOST_CLASSES: usize = 1000;
const LONGEST_MESSAGE: usize = 1024;

/// Why the credentials of a class are of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialFault {
    /// In one word.
    pub reason: Reason,
    /// What is missing, by name; no secret.
    pub message: String,
}

/// What a runtime says of a class that its apps use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassHealth {
    /// Name of the class.
    pub class: String,
    /// Whether its backend answers.
    pub reachable: bool,
    /// CamelCase; empty when reachable.
    pub reason: String,
    /// What is wrong.
    pub message: String,
    /// Where its data was found to be, of a class that was told without a place.
    pub place: Option<String>,
}

/// The same, of one pod, since when.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    pub(crate) reachable: bool,
    pub(crate) reason: String,
    pub(crate) message: String,
    /// When the pod first said whether it is reachable, as it says now.
    pub(crate) since: Timestamp,
    /// Where it found the data, and when it first said so.
    pub(super) place: Option<(Timestamp, String)>,
}

/// How the built-in class does, as Apps are to say it while no StoreClass declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BuiltIn {
    /// There is nothing to say.
    Well,
    /// Somebody who uses it does not reach it, or may not write.
    Badly {
        reason: Reason,
        /// Who, and what is wrong.
        message: String,
    },
}

impl BuiltIn {
    /// Why it does not do well.
    pub(crate) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Well => None,
            Self::Badly { reason, .. } => Some(*reason),
        }
    }
}

/// StoreClasses by name.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    by_name: BTreeMap<String, Arc<StoreClass>>,
    /// uids of those that a later version of Shoal wrote.
    unreadable: BTreeMap<String, String>,
    credentials: HashMap<String, Result<(), CredentialFault>>,
    health: HashMap<String, BTreeMap<Arc<str>, Health>>,
    /// Pods that have spoken of their classes since they connected.
    heard: HashSet<Arc<str>>,
    /// A store pod has spoken of its classes.
    store_pod_spoke: bool,
    written: HashMap<String, Timestamp>,
    /// `None`: not known yet.
    built_in: Option<BuiltIn>,
}

impl Classes {
    /// A class that is declared and can be read.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<StoreClass>> {
        self.by_name.get(name)
    }

    /// Whether a class of this name is declared and cannot be read.
    pub(crate) fn is_unreadable(&self, name: &str) -> bool {
        self.unreadable.contains_key(name)
    }

    /// A class that is declared and cannot be read, if there is one.
    pub(crate) fn any_unreadable(&self) -> Option<&str> {
        self.unreadable.keys().next().map(String::as_str)
    }

    /// Whether there is a class of this name.
    pub(crate) fn exists(&self, name: &str) -> bool {
        name == EMBEDDED_CLASS || self.by_name.contains_key(name) || self.is_unreadable(name)
    }

    /// Those to which something new may be bound.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Arc<StoreClass>> {
        self.by_name
            .values()
            .filter(|class| class.metadata.deletion_timestamp.is_none())
    }

    /// Kind of a class's backend, if that is known.
    pub(crate) fn backend(&self, name: &str) -> Option<&'static str> {
        match self.by_name.get(name) {
            Some(class) => class.spec.backend.kind(),
            None if name == EMBEDDED_CLASS => Some(EMBEDDED_CLASS),
            None => None,
        }
    }

    /// What becomes of the data of new Stores of a class.
    pub(crate) fn reclaim_policy(&self, name: &str) -> ReclaimPolicy {
        let class = self.by_name.get(name);
        class.map_or(ReclaimPolicy::Retain, |class| class.spec.reclaim_policy)
    }

    /// Whether the data of a class is in the store pod.
    pub(crate) fn is_in_store_pod(&self, name: &str) -> bool {
        match self.by_name.get(name) {
            Some(class) => class.spec.backend.is_in_store_pod(),
            None => name == EMBEDDED_CLASS,
        }
    }

    /// Whether operations on each Store of the class are limited.
    pub(crate) fn limits_operations(&self, name: &str) -> bool {
        let limits = self
            .by_name
            .get(name)
            .and_then(|class| class.spec.limits.as_ref());
        limits.is_some_and(|limits| limits.ops_per_second.is_some())
    }

    /// The class that answers a label of an app that names none.
    pub(crate) fn default_for(
        &self,
        namespace: &BTreeMap<String, String>,
        label: &str,
        interface: Interface,
    ) -> DefaultClass<'_> {
        let named = |class: &'_ Arc<StoreClass>| class.metadata.name.is_some();
        let open = self.open().filter(|class| named(class));
        let classes = open.map(|class| {
            (
                class.metadata.name.as_deref().unwrap_or_default(),
                &class.spec,
            )
        });
        default_class(classes, namespace, label, interface)
    }

    /// What came of reading the credentials of a class; `None`: not read yet.
    pub(crate) fn credentials(&self, name: &str) -> Option<&Result<(), CredentialFault>> {
        self.credentials.get(name)
    }

    /// What pods say of a class.
    pub(crate) fn health(&self, name: &str) -> impl Iterator<Item = (&Arc<str>, &Health)> {
        self.health.get(name).into_iter().flatten()
    }

    /// How the built-in class does; `None`: not known yet, what was written of it holds.
    pub(crate) fn built_in(&self) -> Option<&BuiltIn> {
        self.built_in.as_ref()
    }

    /// Nothing is known any more of how the built-in class does.
    pub(super) fn forget_built_in(&mut self) {
        self.built_in = None;
    }

    /// When a plan last had a status of the class to write.
    pub(crate) fn written_at(&self, name: &str) -> Option<Timestamp> {
        self.written.get(name).copied()
    }

    /// A plan has one to write now.
    pub(crate) fn set_written(&mut self, name: &str, now: Timestamp) {
        self.written.insert(name.to_owned(), now);
    }

    /// Replaces what a pod says; returns the classes of which it says something else than before.
    fn hear(&mut self, pod: &Arc<str>, said: Vec<ClassHealth>, now: Timestamp) -> BTreeSet<String> {
        let mut touched = BTreeSet::new();
        let mut said: BTreeMap<String, ClassHealth> = said
            .into_iter()
            .take(MOST_CLASSES)
            .map(|one| (one.class.clone(), one))
            .collect();
        for (class, pods) in &mut self.health {
            let Some(before) = pods.get_mut(pod) else {
                continue;
            };
            touched.insert(class.clone());
            match said.remove(class) {
                None => {
                    pods.remove(pod);
                }
                Some(one) => before.take(one, now),
            }
        }
        self.health.retain(|_, pods| !pods.is_empty());
        for (class, one) in said {
            touched.insert(class.clone());
            let pods = self.health.entry(class).or_default();
            pods.insert(Arc::clone(pod), Health::new(one, now));
        }
        touched
    }
}

impl Health {
    fn new(said: ClassHealth, now: Timestamp) -> Self {
        Self {
            reachable: said.reachable,
            reason: said.reason,
            message: said.message.chars().take(LONGEST_MESSAGE).collect(),
            since: now,
            place: said.place.map(|place| (now, place)),
        }
    }

    fn take(&mut self, said: ClassHealth, now: Timestamp) {
        let since = if said.reachable == self.reachable {
            self.since
        } else {
            now
        };
        let place = self.place.take();
        let place = place.filter(|(_, place)| said.place.as_ref() == Some(place));
        let news = said.place.clone().map(|place| (now, place));
        *self = Self::new(said, since);
        self.place = place.or(news);
    }
}

impl Index {
    pub(super) fn apply_store_class(&mut self, class: StoreClass) {
        let name = class.metadata.name.clone().unwrap_or_default();
        self.classes.unreadable.remove(&name);
        let known = self.classes.by_name.get(&name);
        if known.is_some_and(|known| is_old(&class.metadata, &known.metadata)) {
            return;
        }
        let same = known.is_some_and(|known| {
            known.spec == class.spec
                && known.metadata.uid == class.metadata.uid
                && known.metadata.deletion_timestamp == class.metadata.deletion_timestamp
        });
        self.classes.by_name.insert(name.clone(), Arc::new(class));
        if same {
            self.touch_class(&name);
        } else {
            self.classes.credentials.remove(&name);
            self.touch_classes_and_apps();
        }
    }

    pub(super) fn delete_store_class(&mut self, key: &ObjectKey, uid: Option<&str>) {
        self.classes.unreadable.remove(&*key.name);
        let known = self.classes.by_name.get(&*key.name);
        if uid.is_some() && known.and_then(|class| class.metadata.uid.as_deref()) != uid {
            return;
        }
        self.classes.by_name.remove(&*key.name);
        self.classes.credentials.remove(&*key.name);
        self.classes.written.remove(&*key.name);
        self.touch_classes_and_apps();
    }

    /// A class cannot be read: what was read before holds.
    pub(super) fn leave_store_class(&mut self, key: &ObjectKey, uid: &str) {
        let known = self.classes.by_name.get(&*key.name);
        if known.is_some_and(|class| class.metadata.uid.as_deref() == Some(uid)) {
            return;
        }
        self.delete_store_class(key, None);
        self.classes
            .unreadable
            .insert(key.name.to_string(), uid.to_owned());
    }

    pub(super) fn known_store_classes(&self) -> Vec<ObjectKey> {
        let names = self.classes.by_name.keys();
        let names = names.chain(self.classes.unreadable.keys());
        names.map(|name| ObjectKey::cluster_wide(name)).collect()
    }

    /// Marks a class of which there is news of how it does to be planned again, if it is declared or built in.
    fn touch_health(&mut self, name: &str) {
        if name == EMBEDDED_CLASS || self.classes.by_name.contains_key(name) {
            self.dirty.insert(ObjectKey::cluster_wide(name));
        }
    }

    /// Marks a class, if it is declared, to be planned again.
    pub(super) fn touch_class(&mut self, name: &str) {
        if self.classes.by_name.contains_key(name) {
            self.dirty.insert(ObjectKey::cluster_wide(name));
        }
    }

    pub(super) fn touch_classes(&mut self) {
        let names = self.classes.by_name.keys().map(String::as_str);
        let names = names.chain([EMBEDDED_CLASS]);
        let keys: Vec<ObjectKey> = names.map(ObjectKey::cluster_wide).collect();
        self.dirty.extend(keys);
    }

    /// The built-in class does so now: Apps that have data there, or say otherwise, are planned again.
    pub(crate) fn set_built_in(&mut self, is_now: BuiltIn) {
        let says = |entry: &super::AppEntry| {
            let status = entry.app.as_deref().and_then(|app| app.status.as_ref());
            let mut conditions = status.into_iter().flat_map(|status| &status.conditions);
            conditions.any(|one| one.reason == Reason::StoreClassNotReady.as_str())
        };
        let saying = self.apps.iter().filter(|(_, entry)| says(entry));
        let saying: Vec<_> = saying.map(|(key, _)| key.clone()).collect();
        self.dirty.extend(saying);
        if is_now != BuiltIn::Well {
            let bound = self.apps_with_data_in(EMBEDDED_CLASS);
            self.dirty.extend(bound);
        }
        self.classes.built_in = Some(is_now);
    }

    /// A class may answer any app, and be in conflict with any class.
    fn touch_classes_and_apps(&mut self) {
        self.touch_classes();
        self.dirty.extend(self.apps.keys().cloned());
    }

    /// Every StoreClass that can be read.
    pub fn store_classes(&self) -> Vec<Arc<StoreClass>> {
        self.classes.by_name.values().cloned().collect()
    }

    /// What came of reading the credentials that a class names. Returns whether that is new.
    pub fn credentials_read(&mut self, class: &str, result: Result<(), CredentialFault>) -> bool {
        let is_new = self.classes.by_name.contains_key(class)
            && self.classes.credentials.get(class) != Some(&result);
        if is_new {
            self.classes.credentials.insert(class.to_owned(), result);
            self.touch_class(class);
        }
        is_new
    }

    /// The runtime of a pod says how all the classes that its apps use fare.
    pub fn store_health(&mut self, pod: &str, said: Vec<ClassHealth>, now: Timestamp) {
        let Some((pod, session)) = self.runtimes.sessions.get_key_value(pod) else {
            return;
        };
        if !session.connected {
            return;
        }
        let pod = Arc::clone(pod);
        let touched = self.classes.hear(&pod, said, now);
        touched.iter().for_each(|class| self.touch_health(class));
        if self.classes.heard.insert(pod) {
            self.touch_classes();
        }
    }

    /// A store pod says how all classes fare; nothing, once it is gone.
    pub fn store_pod_health(&mut self, pod: &str, said: Vec<ClassHealth>, now: Timestamp) {
        let touched = self.classes.hear(&pod.into(), said, now);
        touched.iter().for_each(|class| self.touch_health(class));
        if !std::mem::replace(&mut self.classes.store_pod_spoke, true) {
            self.touch_classes();
        }
    }

    /// The runtime of a pod connects, or is lost: what it said of classes holds no longer.
    pub(super) fn forget_store_health(&mut self, pod: &str) {
        let pod: Arc<str> = pod.into();
        self.classes.heard.remove(&pod);
        let touched = self.classes.hear(&pod, Vec::new(), Timestamp::MIN);
        touched.iter().for_each(|class| self.touch_health(class));
    }

    /// Whether every runtime that there may be has spoken of its classes, or had its time to.
    pub(crate) fn is_health_known(&self, now: Timestamp) -> bool {
        let sessions = &self.runtimes.sessions;
        let mut connected = sessions.iter().filter(|(_, session)| session.connected);
        now >= self.heard_by()
            || (connected.all(|(pod, _)| self.classes.heard.contains(pod))
                && self.unheard_pods(now).is_empty())
    }

    /// Whether a store pod has spoken of its classes since the start.
    pub(crate) fn has_store_pod_spoken(&self) -> bool {
        self.classes.store_pod_spoke
    }

    /// Names of the classes of the Stores that a pod's apps open, as far as they can be read: what it is to know of.
    pub fn pod_classes(&self, pod: &str) -> BTreeSet<String> {
        let mut classes = BTreeSet::new();
        self.each_store_of(pod, |_, class| {
            if self.classes.backend(class).is_some() {
                classes.insert(class.to_owned());
            }
        });
        classes
    }

    /// Calls `note` with the id and the class of every Store that a pod may open.
    pub(super) fn each_store_of(&self, pod: &str, mut note: impl FnMut(&str, &str)) {
        for key in self.apps_told(pod) {
            let mut all = || {
                for store in self.stores_within_reach(&key) {
                    if let Some(id) = &store.spec.id {
                        note(id, &store.spec.class_name);
                    }
                }
            };
            if self.unreadable.contains(&key) {
                all();
            }
            let Some(entry) = self.apps.get(&key).filter(|entry| entry.app.is_some()) else {
                continue;
            };
            match entry.memory.instructions.get(pod) {
                Some(Instruction::Assign(assignment)) => {
                    let components = assignment.components.iter();
                    for store in components.flat_map(|component| &component.stores) {
                        note(&store.store_id, &store.class);
                    }
                }
                // It goes on running with what it had, which is at most this.
                Some(Instruction::Keep) => all(),
                None if !entry.memory.planned => all(),
                Some(Instruction::Stop) | None => {}
            }
        }
    }
}
