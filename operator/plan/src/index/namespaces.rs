//! Namespaces: their labels, and those that are going away: nothing is made there any more.

use std::collections::{BTreeMap, HashSet};

use k8s_openapi::api::core::v1::Namespace;

use super::Index;
use crate::{AppKey, ObjectKey};

#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    terminating: HashSet<String>,
    labels: BTreeMap<String, BTreeMap<String, String>>,
}

/// Labels of a namespace that was not seen yet.
static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

impl Namespaces {
    /// Whether nothing can be made in this namespace.
    pub(crate) fn is_terminating(&self, name: &str) -> bool {
        self.terminating.contains(name)
    }

    /// Whether a namespace was seen: until then nobody knows its labels.
    pub(crate) fn is_known(&self, name: &str) -> bool {
        self.labels.contains_key(name)
    }

    /// Labels of a namespace.
    pub(crate) fn labels(&self, name: &str) -> &BTreeMap<String, String> {
        self.labels.get(name).unwrap_or(&NO_LABELS)
    }

    /// The first namespace, by name, whose labels are such.
    pub(crate) fn find(&self, such: impl Fn(&BTreeMap<String, String>) -> bool) -> Option<&str> {
        let mut all = self.labels.iter();
        all.find(|(_, labels)| such(labels))
            .map(|(name, _)| name.as_str())
    }
}

impl Index {
    pub(super) fn apply_namespace(&mut self, namespace: Namespace) {
        let Some(name) = namespace.metadata.name else {
            return;
        };
        let labels = namespace.metadata.labels.unwrap_or_default();
        let before = self.namespaces.labels.insert(name.clone(), labels.clone());
        let relabelled = before.is_none_or(|before| before != labels);
        let changed = if namespace.metadata.deletion_timestamp.is_some() {
            self.namespaces.terminating.insert(name.clone())
        } else {
            self.namespaces.terminating.remove(&name)
        };
        if changed || relabelled {
            self.touch_namespace(&name);
        }
        if relabelled {
            self.touch_classes();
        }
    }

    pub(super) fn delete_namespace(&mut self, key: &ObjectKey, _uid: Option<&str>) {
        self.namespaces.terminating.remove(&*key.name);
        self.namespaces.labels.remove(&*key.name);
        self.touch_classes();
    }

    pub(super) fn known_namespaces(&self) -> Vec<ObjectKey> {
        self.namespaces
            .labels
            .keys()
            .map(|name| ObjectKey::cluster_wide(name))
            .collect()
    }

    fn touch_namespace(&mut self, name: &str) {
        let touched: Vec<AppKey> = self
            .apps
            .range(AppKey::new(name, "")..)
            .take_while(|(key, _)| &*key.namespace == name)
            .map(|(key, _)| key.clone())
            .collect();
        self.dirty.extend(touched);
    }
}
