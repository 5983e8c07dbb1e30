//! Runtime pods, as the API server shows them.

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::{Index, Runtimes};
use crate::ObjectKey;

/// Label of runtime pods; its value names the pool.
const POOL_LABEL: &str = "shoal.dev/pool";

/// A runtime pod, as the API server shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimePod {
    /// `metadata.uid`
    pub uid: Arc<str>,
    /// Namespace and name.
    pub key: ObjectKey,
    /// Node that it runs on.
    pub node: String,
    /// Its addresses.
    pub ips: Vec<IpAddr>,
    /// Asked to end, or ended.
    pub deleting: bool,
    /// Its containers have ended for good.
    pub ended: bool,
    /// Its condition `Ready` holds.
    pub ready: bool,
    /// `metadata.creationTimestamp`
    pub created: Timestamp,
}

impl RuntimePod {
    /// A pod, if it is a runtime of the pool `default` that has a node.
    fn of(pod: &Pod) -> Option<Self> {
        let pool = pod.metadata.labels.as_ref()?.get(POOL_LABEL)?;
        let status = pod.status.as_ref();
        let ips = status
            .and_then(|status| status.pod_ips.as_ref())
            .into_iter()
            .flatten();
        let phase = status.and_then(|status| status.phase.as_deref());
        let namespace = pod.metadata.namespace.as_deref()?;
        // Anybody may label a pod of their own.
        if pool != shoal_crds::DEFAULT_POOL || namespace != shoal_crds::SYSTEM_NAMESPACE {
            return None;
        }
        Some(Self {
            uid: pod.metadata.uid.as_deref()?.into(),
            key: ObjectKey::of(&pod.metadata),
            node: pod.spec.as_ref()?.node_name.clone()?,
            ips: ips.filter_map(|ip| ip.ip.parse().ok()).collect(),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            ended: matches!(phase, Some("Failed" | "Succeeded")),
            ready: status
                .iter()
                .flat_map(|status| &status.conditions)
                .flatten()
                .any(|one| one.type_ == "Ready" && one.status == "True"),
            created: pod
                .metadata
                .creation_timestamp
                .as_ref()
                .map_or(Timestamp::MIN, |time| time.0),
        })
    }
}

impl Runtimes {
    fn forget_pod(&mut self, uid: &Arc<str>) -> Option<RuntimePod> {
        let pod = self.pods.remove(uid)?;
        self.by_key.remove(&pod.key);
        if let Some(pods) = self.by_node.get_mut(&pod.node) {
            pods.remove(uid);
            if pods.is_empty() {
                self.by_node.remove(&pod.node);
            }
        }
        Some(pod)
    }
}

impl Index {
    pub(super) fn apply_pod(&mut self, pod: Pod) {
        let key = ObjectKey::of(&pod.metadata);
        let known = self.runtimes.by_key.get(&key).cloned();
        let Some(pod) = RuntimePod::of(&pod) else {
            if known.is_some() {
                self.delete_pod(&key, None);
            }
            return;
        };
        if let Some(uid) = known {
            if self.runtimes.pods.get(&uid) == Some(&pod) {
                return;
            }
            if uid != pod.uid {
                self.delete_pod(&key, None);
            }
        }
        self.apply_runtime_pod(pod);
    }

    /// A runtime pod was made or has changed.
    pub fn apply_runtime_pod(&mut self, pod: RuntimePod) {
        let (uid, node) = (Arc::clone(&pod.uid), pod.node.clone());
        self.runtimes
            .by_key
            .insert(pod.key.clone(), Arc::clone(&uid));
        self.runtimes
            .by_node
            .entry(node.clone())
            .or_default()
            .insert(Arc::clone(&uid));
        self.runtimes.pods.insert(Arc::clone(&uid), pod);
        self.touch_pod(&uid);
        self.touch_node(&node);
    }

    pub(super) fn delete_pod(&mut self, key: &ObjectKey, uid: Option<&str>) {
        let Some(known) = self.runtimes.by_key.get(key).cloned() else {
            return;
        };
        if uid.is_some_and(|uid| *uid != *known) {
            return;
        }
        self.touch_pod(&known);
        let pod = self.runtimes.forget_pod(&known);
        self.runtimes.report_changes(&known, true, Vec::new(), &[]);
        self.runtimes.sessions.remove(&known);
        self.runtimes.refresh_engine_keys();
        if let Some(pod) = pod {
            self.touch_node(&pod.node);
        }
    }

    pub(super) fn known_pods(&self) -> Vec<ObjectKey> {
        self.runtimes.by_key.keys().cloned().collect()
    }
}
