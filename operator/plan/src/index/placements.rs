//! Which App is placed on which nodes, and which pods were told about which Apps.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use crate::AppKey;

/// Placements by App and by node, and who was told.
#[derive(Debug, Default)]
pub(crate) struct Placements {
    nodes: HashMap<AppKey, BTreeSet<String>>,
    apps: HashMap<String, BTreeSet<AppKey>>,
    hungry: BTreeSet<AppKey>,
    told: HashMap<Arc<str>, BTreeSet<AppKey>>,
}

impl Placements {
    /// Nodes of an App: as planned, or as its slices say until it is.
    pub(crate) fn of(&self, app: &AppKey) -> Option<&BTreeSet<String>> {
        self.nodes.get(app)
    }

    /// How many Apps a node has.
    pub(crate) fn load(&self, node: &str) -> usize {
        self.apps.get(node).map_or(0, BTreeSet::len)
    }

    /// Apps of a node.
    pub(super) fn on(&self, node: &str) -> impl Iterator<Item = &AppKey> {
        self.apps.get(node).into_iter().flatten()
    }

    /// Apps that are on fewer nodes than their spec says.
    pub(super) fn hungry(&self) -> impl Iterator<Item = &AppKey> {
        self.hungry.iter()
    }

    /// Apps that a pod was told about.
    pub(super) fn told(&self, pod: &str) -> BTreeSet<AppKey> {
        self.told.get(pod).cloned().unwrap_or_default()
    }

    /// An App is placed on these nodes.
    pub(crate) fn set(&mut self, app: &AppKey, nodes: BTreeSet<String>) {
        let before = self.nodes.remove(app).unwrap_or_default();
        for node in before.difference(&nodes) {
            if let Some(apps) = self.apps.get_mut(node) {
                apps.remove(app);
            }
        }
        for node in nodes.difference(&before) {
            self.apps
                .entry(node.clone())
                .or_default()
                .insert(app.clone());
        }
        if !nodes.is_empty() {
            self.nodes.insert(app.clone(), nodes);
        }
    }

    /// Whether an App wants more nodes than it has.
    pub(crate) fn set_hungry(&mut self, app: &AppKey, hungry: bool) {
        if hungry {
            self.hungry.insert(app.clone());
        } else {
            self.hungry.remove(app);
        }
    }

    /// Pods that were told about an App before, and are now.
    pub(crate) fn tell<'a>(
        &mut self,
        app: &AppKey,
        before: impl Iterator<Item = &'a Arc<str>>,
        now: impl Iterator<Item = &'a Arc<str>>,
    ) {
        for pod in before {
            if let Some(apps) = self.told.get_mut(pod) {
                apps.remove(app);
                if apps.is_empty() {
                    self.told.remove(pod);
                }
            }
        }
        for pod in now {
            self.told
                .entry(Arc::clone(pod))
                .or_default()
                .insert(app.clone());
        }
    }
}
