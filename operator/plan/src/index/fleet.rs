//! The nodes that may serve apps, looked up once for all Apps until something about them changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::{Index, NodeFacts, Standing};

/// Nodes whose runtime serves, or may be about to.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    /// By name.
    pub(crate) nodes: BTreeMap<String, FleetNode>,
    /// How many of them may get apps that they do not have.
    pub(crate) accepting: usize,
    /// Some were not heard yet.
    pub(crate) has_unheard: bool,
    /// Until when at least those are left as they are, if that ends by itself.
    pub(crate) unheard_until: Option<Timestamp>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct FleetNode {
    /// Its youngest runtime that serves.
    pub(crate) pod: Arc<str>,
    /// How that stands.
    pub(crate) standing: Standing,
    /// The node.
    pub(crate) facts: NodeFacts,
}

impl Index {
    /// The fleet as it is now.
    pub(crate) fn fleet(&mut self, now: Timestamp) -> Arc<Fleet> {
        let holds = |fleet: &&Arc<Fleet>| fleet.unheard_until.is_none_or(|until| now < until);
        if let Some(fleet) = self.fleet.as_ref().filter(holds) {
            return Arc::clone(fleet);
        }
        let nodes: BTreeMap<String, FleetNode> = self
            .runtimes
            .nodes()
            .filter_map(|(node, pods)| Some((node.clone(), self.fleet_node(node, pods, now)?)))
            .collect();
        let unheard: Vec<Option<Timestamp>> = nodes
            .values()
            .filter_map(|node| match node.standing {
                Standing::Unheard(until) => Some(until),
                _ => None,
            })
            .collect();
        let fleet = Arc::new(Fleet {
            accepting: nodes.values().filter(|node| node.facts.accepts_new).count(),
            has_unheard: !unheard.is_empty(),
            unheard_until: unheard.into_iter().flatten().min(),
            nodes,
        });
        self.fleet = Some(Arc::clone(&fleet));
        fleet
    }

    fn fleet_node(
        &self,
        node: &str,
        pods: &BTreeSet<Arc<str>>,
        now: Timestamp,
    ) -> Option<FleetNode> {
        let facts = self.nodes.get(node)?;
        let usable = pods.iter().filter_map(|uid| {
            let standing = self.standing(uid, now);
            let order = match standing {
                Standing::Serving => 1,
                Standing::Unheard(_) => 0,
                Standing::Leaving | Standing::Gone => return None,
            };
            Some((order, self.runtimes.pod(uid)?.created, uid, standing))
        });
        let (_, _, pod, standing) =
            usable.max_by_key(|(order, created, uid, _)| (*order, *created, *uid))?;
        Some(FleetNode {
            pod: Arc::clone(pod),
            standing,
            facts: facts.clone(),
        })
    }
}
