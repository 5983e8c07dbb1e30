//! What this process knows of the cluster, behind one lock.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use shoal_plan::{Index, ObjectKey};
use tokio::sync::Notify;

/// The index, with what the I/O around it needs to know besides.
pub struct World {
    index: Mutex<Index>,
    changed: Notify,
    facts: Mutex<Facts>,
}

/// What no decision is made of, or only that a silent node is lost.
#[derive(Default)]
struct Facts {
    apps: HashMap<ObjectKey, AppFacts>,
    pods: HashMap<Arc<str>, PodFacts>,
    unready_nodes: std::collections::HashSet<String>,
}

/// An App, as far as telling about it goes.
#[derive(Clone, Debug, Default)]
pub struct AppFacts {
    /// `metadata.uid`
    pub uid: String,
    /// It was built once: its status names the image.
    pub built: bool,
    /// Its status says that the builder cannot be reached.
    told_unavailable: bool,
}

/// Where a runtime pod is.
#[derive(Clone, Debug, Default)]
pub struct PodFacts {
    /// Its node.
    pub node: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

impl World {
    /// Knows nothing yet.
    pub fn new(started: Timestamp) -> Self {
        Self {
            index: Mutex::new(Index::new(started)),
            changed: Notify::new(),
            facts: Mutex::default(),
        }
    }

    /// Changes the index, and wakes the planner.
    pub fn change<R>(&self, change: impl FnOnce(&mut Index) -> R) -> R {
        let result = change(&mut self.index.lock());
        self.changed.notify_one();
        result
    }

    /// Looks at the index, or plans with it, without waking anybody.
    pub fn with<R>(&self, look: impl FnOnce(&mut Index) -> R) -> R {
        look(&mut self.index.lock())
    }

    /// Wakes the planner.
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    /// Waits for a change. One that came before the call counts.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// uid of the App of this name.
    pub fn app_uid(&self, key: &ObjectKey) -> Option<String> {
        Some(self.facts.lock().apps.get(key)?.uid.clone())
    }

    /// How many Apps there are.
    pub fn app_count(&self) -> usize {
        self.facts.lock().apps.len()
    }

    /// An App is like this, or gone.
    pub fn note_app(&self, key: ObjectKey, app: Option<(String, bool)>) {
        let apps = &mut self.facts.lock().apps;
        match app {
            Some((uid, built)) => {
                let facts = apps.entry(key).or_default();
                if facts.uid != uid {
                    *facts = AppFacts {
                        uid,
                        ..AppFacts::default()
                    };
                }
                facts.built = built;
            }
            None => {
                apps.remove(&key);
            }
        }
    }

    /// Whether there is no point in telling this App that the builder is away: it was built before, was told, or is
    /// gone.
    pub fn is_told_unavailable(&self, key: &ObjectKey) -> bool {
        let facts = self.facts.lock();
        facts
            .apps
            .get(key)
            .is_none_or(|app| app.built || app.told_unavailable)
    }

    /// The App was told that the builder is away.
    pub fn note_told_unavailable(&self, key: &ObjectKey) {
        if let Some(app) = self.facts.lock().apps.get_mut(key) {
            app.told_unavailable = true;
        }
    }

    /// The builder is back: whoever was told otherwise may be told again.
    pub fn forget_told_unavailable(&self) {
        for app in self.facts.lock().apps.values_mut() {
            app.told_unavailable = false;
        }
    }

    /// No App is known any more.
    pub fn forget_apps(&self) {
        self.facts.lock().apps.clear();
    }

    /// No pod is known any more.
    pub fn forget_pods(&self) {
        self.facts.lock().pods.clear();
    }

    /// Where a runtime pod is.
    pub fn pod(&self, uid: &str) -> Option<PodFacts> {
        self.facts.lock().pods.get(uid).cloned()
    }

    /// A runtime pod is here, or gone.
    pub fn note_pod(&self, uid: &str, facts: Option<PodFacts>) {
        let pods = &mut self.facts.lock().pods;
        match facts {
            Some(facts) => pods.insert(uid.into(), facts),
            None => pods.remove(uid),
        };
    }

    /// How many runtime pods there are.
    pub fn pod_count(&self) -> usize {
        self.facts.lock().pods.len()
    }

    /// uids of all runtime pods.
    pub fn pod_uids(&self) -> Vec<Arc<str>> {
        self.facts.lock().pods.keys().cloned().collect()
    }

    /// Whether Kubernetes says that a node is not ready.
    pub fn node_is_unready(&self, node: &str) -> bool {
        self.facts.lock().unready_nodes.contains(node)
    }

    /// What Kubernetes says about a node.
    pub fn note_node(&self, node: &str, ready: bool) {
        let nodes = &mut self.facts.lock().unready_nodes;
        if ready {
            nodes.remove(node);
        } else {
            nodes.insert(node.to_owned());
        }
    }
}
