//! The grants of one message, for looking up.

use std::collections::{HashMap, HashSet};

use crate::v1::GrantSet;

/// Longest name in a set: a digest has 71 bytes, a UUID 36.
pub(super) const MAX_NAME_BYTES: usize = 256;

/// Grants of all pods, as one message said.
#[derive(Debug, Default)]
pub struct GrantTable {
    pods: HashMap<String, PodTable>,
}

#[derive(Debug, Default)]
struct PodTable {
    stores: HashSet<Box<str>>,
    held_stores: HashSet<Box<str>>,
    digests: HashSet<Box<str>>,
}

impl GrantTable {
    /// The table of one message, or what is wrong with it.
    pub(super) fn new(set: &GrantSet) -> Result<Self, &'static str> {
        let mut pods: HashMap<String, PodTable> = HashMap::with_capacity(set.pods.len());
        for pod in &set.pods {
            let names = pod
                .store_ids
                .iter()
                .chain(&pod.held_store_ids)
                .chain(&pod.digests)
                .chain([&pod.pod_uid]);
            if names
                .into_iter()
                .any(|name| name.is_empty() || name.len() > MAX_NAME_BYTES)
            {
                return Err("a name in it is empty or longer than 256 bytes");
            }
            let table = pods.entry(pod.pod_uid.clone()).or_default();
            table
                .stores
                .extend(pod.store_ids.iter().map(|id| id.as_str().into()));
            table
                .held_stores
                .extend(pod.held_store_ids.iter().map(|id| id.as_str().into()));
            table
                .digests
                .extend(pod.digests.iter().map(|digest| digest.as_str().into()));
        }
        Ok(Self { pods })
    }

    pub(super) fn pods(&self) -> usize {
        self.pods.len()
    }

    /// Whether the pod may open the Store of this id.
    pub fn allows_store(&self, pod_uid: &str, store_id: &str) -> bool {
        self.pods
            .get(pod_uid)
            .is_some_and(|pod| pod.stores.contains(store_id))
    }

    /// Whether any pod may have the Store of this id open, wherever its data is.
    pub fn is_store_in_use(&self, store_id: &str) -> bool {
        self.pods
            .values()
            .any(|pod| pod.stores.contains(store_id) || pod.held_stores.contains(store_id))
    }

    /// Whether any pod may fetch the code of this component digest.
    pub fn grants_digest(&self, digest: &str) -> bool {
        self.pods.values().any(|pod| pod.digests.contains(digest))
    }

    /// Whether the pod may fetch the code of this component digest.
    pub fn allows_digest(&self, pod_uid: &str, digest: &str) -> bool {
        self.pods
            .get(pod_uid)
            .is_some_and(|pod| pod.digests.contains(digest))
    }
}
