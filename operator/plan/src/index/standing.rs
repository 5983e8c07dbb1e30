//! How runtime pods stand.
//!
//! Silence alone is never the end of a pod that this process has not heard yet: after a start, runtimes find the
//! operator only when DNS tells them of it, and until then they serve as they did. Such a pod is left as it is until
//! something speaks against it: Kubernetes says that it or its node is not ready, or it does not answer when it is
//! asked directly ([`Index::runtime_lost`]).

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Index, Runtimes};

/// How long Kubernetes' word that a pod is not ready does not count after a start: it may be about to change.
const SETTLES_AFTER: SignedDuration = SignedDuration::from_secs(5);
/// How long after a start runtimes may take to be heard.
const HEARD_WITHIN: SignedDuration = SignedDuration::from_secs(60);

/// How a runtime pod stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its runtime is connected and takes apps.
    Serving,
    /// Not heard yet, and may well live: what it had stays as it is. With a time: at least until then.
    Unheard(Option<Timestamp>),
    /// Connected, but about to end.
    Leaving,
    /// It does not answer, or is not there.
    Gone,
}

impl Runtimes {
    /// When what Kubernetes says of pods that were not heard begins to count.
    pub(crate) fn settled_at(&self) -> Timestamp {
        self.started + SETTLES_AFTER
    }

    /// By when runtimes that live should have been heard.
    pub(crate) fn heard_by(&self) -> Timestamp {
        self.started + HEARD_WITHIN
    }
}

impl Index {
    /// When what Kubernetes says of runtimes that were not heard since the start begins to count.
    pub fn settled_at(&self) -> Timestamp {
        self.runtimes.settled_at()
    }

    /// By when runtimes that live should have been heard after the start.
    pub fn heard_by(&self) -> Timestamp {
        self.runtimes.heard_by()
    }

    /// Pods that were not heard since the start and nothing speaks against: to be asked directly whether they live.
    pub fn unheard_pods(&self, now: Timestamp) -> Vec<Arc<str>> {
        let pods = self.runtimes.pod_uids();
        pods.filter(|uid| matches!(self.standing(uid, now), Standing::Unheard(_)))
            .cloned()
            .collect()
    }

    /// How a pod stands.
    pub(crate) fn standing(&self, uid: &str, now: Timestamp) -> Standing {
        let Some(pod) = self.runtimes.pod(uid).filter(|pod| !pod.ended) else {
            return Standing::Gone;
        };
        match self.runtimes.sessions.get(uid) {
            None if now < self.settled_at() => Standing::Unheard(Some(self.settled_at())),
            None if pod.ready && self.is_node_ready(&pod.node) => Standing::Unheard(None),
            None => Standing::Gone,
            Some(session) if !session.connected => Standing::Gone,
            // It lives: its report is on its way.
            Some(session) if !session.reported => Standing::Unheard(None),
            Some(session) if session.draining || pod.deleting => Standing::Leaving,
            Some(_) => Standing::Serving,
        }
    }

    fn is_node_ready(&self, node: &str) -> bool {
        self.nodes.get(node).is_some_and(|node| node.ready)
    }
}
