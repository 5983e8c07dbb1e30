//! Nodes, as far as placing apps is concerned.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node;

use super::Index;
use crate::ObjectKey;

const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// What placement looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeFacts {
    /// Labels, for `nodeSelector`.
    pub(crate) labels: BTreeMap<String, String>,
    /// New apps may come here: it is neither cordoned nor being deleted.
    pub(crate) accepts_new: bool,
    /// Kubernetes does not say that it is not ready.
    pub(crate) ready: bool,
}

impl NodeFacts {
    fn of(node: &Node) -> Self {
        let cordoned = node
            .spec
            .as_ref()
            .and_then(|spec| spec.unschedulable)
            .unwrap_or(false);
        let conditions = node.status.iter().flat_map(|status| &status.conditions);
        let unready = conditions
            .flatten()
            .any(|one| one.type_ == "Ready" && one.status != "True");
        Self {
            ready: !unready,
            labels: node.metadata.labels.clone().unwrap_or_default(),
            accepts_new: !cordoned && node.metadata.deletion_timestamp.is_none(),
        }
    }

    /// Its zone, if it has one.
    pub(crate) fn zone(&self) -> Option<&str> {
        self.labels
            .get(ZONE_LABEL)
            .map(String::as_str)
            .filter(|zone| !zone.is_empty())
    }

    /// Whether it has all these labels.
    pub(crate) fn matches(&self, selector: &BTreeMap<String, String>) -> bool {
        selector
            .iter()
            .all(|(name, value)| self.labels.get(name) == Some(value))
    }
}

impl Index {
    pub(super) fn apply_node(&mut self, node: Node) {
        let Some(name) = node.metadata.name.clone() else {
            return;
        };
        let facts = NodeFacts::of(&node);
        if self.nodes.get(&name) == Some(&facts) {
            return;
        }
        let ready = facts.ready;
        let before = self.nodes.insert(name.clone(), facts);
        if before.is_none_or(|before| before.ready != ready) {
            self.touch_pods_of(&name);
        }
        self.touch_node(&name);
    }

    pub(super) fn delete_node(&mut self, key: &ObjectKey, _uid: Option<&str>) {
        if self.nodes.remove(&*key.name).is_some() {
            self.touch_pods_of(&key.name);
            self.touch_node(&key.name);
        }
    }

    pub(super) fn known_nodes(&self) -> Vec<ObjectKey> {
        self.nodes
            .keys()
            .map(|name| ObjectKey::new("", name))
            .collect()
    }

    /// The node's pods may stand otherwise than before.
    fn touch_pods_of(&mut self, node: &str) {
        let pods = self.runtimes.by_node.get(node).cloned();
        for pod in pods.into_iter().flatten() {
            self.touch_pod(&pod);
        }
    }

    /// A node is another than before: for the Apps on it, and for those that look for one.
    pub(super) fn touch_node(&mut self, name: &str) {
        self.fleet = None;
        let touched = self
            .placements
            .on(name)
            .chain(self.placements.hungry())
            .cloned();
        self.dirty.extend(touched);
    }
}
