//! One endpoint of a slice.

use std::net::IpAddr;

use k8s_openapi::api::{
    core::v1::ObjectReference,
    discovery::v1::{Endpoint, EndpointConditions},
};

use crate::index::RuntimePod;

/// How a pod's endpoint is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WantedEndpoint {
    /// As it is, if it is there.
    Keep,
    /// Takes traffic.
    Ready,
    /// Does not answer, but belongs here: it is shown as not ready.
    NotReady,
    /// Answers, but is about to leave.
    Draining,
}

/// A pod, and how its endpoint is to look.
#[derive(Clone, Debug)]
pub(crate) struct PodEndpoint {
    /// The pod.
    pub(crate) pod: Option<RuntimePod>,
    /// Zone of its node.
    pub(crate) zone: Option<String>,
    /// How it is to look.
    pub(crate) wanted: WantedEndpoint,
    /// The Service wants addresses that are not ready too.
    pub(crate) publish_not_ready: bool,
}

/// uid of the pod that an endpoint stands for.
pub(crate) fn pod_uid(endpoint: &Endpoint) -> Option<&str> {
    endpoint.target_ref.as_ref()?.uid.as_deref()
}

/// Whether it takes traffic.
pub(crate) fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint
        .conditions
        .as_ref()
        .and_then(|c| c.ready)
        .unwrap_or(true)
}

/// Whether it is about to leave.
pub(crate) fn is_terminating(endpoint: &Endpoint) -> bool {
    endpoint
        .conditions
        .as_ref()
        .and_then(|c| c.terminating)
        .unwrap_or(false)
}

fn is_serving(endpoint: &Endpoint) -> bool {
    endpoint
        .conditions
        .as_ref()
        .and_then(|c| c.serving)
        .unwrap_or(true)
}

impl PodEndpoint {
    /// What stands where `found` stood; `None`: nothing.
    pub(super) fn in_place_of(&self, found: &Endpoint, family: &str) -> Option<Endpoint> {
        if self.wanted == WantedEndpoint::Keep {
            return Some(found.clone());
        }
        let wanted = self.fresh(family)?;
        // What is the same keeps whatever else it carries, so that it counts as the same.
        Some(if same_one(&wanted, found) {
            found.clone()
        } else {
            wanted
        })
    }

    /// The endpoint, if the pod has an address of this family.
    pub(super) fn fresh(&self, family: &str) -> Option<Endpoint> {
        let pod = self.pod.as_ref()?;
        let (serving, terminating) = match self.wanted {
            WantedEndpoint::Keep => return None,
            WantedEndpoint::Ready => (true, false),
            WantedEndpoint::NotReady => (false, false),
            WantedEndpoint::Draining => (true, true),
        };
        let address = pod.ips.iter().find(|ip| family_of(ip) == family)?;
        Some(Endpoint {
            addresses: vec![address.to_string()],
            conditions: Some(EndpointConditions {
                ready: Some(self.publish_not_ready || (serving && !terminating)),
                serving: Some(serving),
                terminating: Some(terminating),
            }),
            node_name: Some(pod.node.clone()),
            zone: self.zone.clone(),
            target_ref: Some(ObjectReference {
                kind: Some("Pod".to_owned()),
                namespace: Some(pod.key.namespace.to_string()),
                name: Some(pod.key.name.to_string()),
                uid: Some(pod.uid.to_string()),
                ..ObjectReference::default()
            }),
            ..Endpoint::default()
        })
    }
}

fn family_of(ip: &IpAddr) -> &'static str {
    if ip.is_ipv4() { "IPv4" } else { "IPv6" }
}

/// Whether two endpoints mean the same: defaults filled in, and without what no consumer reads.
fn same_one(a: &Endpoint, b: &Endpoint) -> bool {
    let target = |endpoint: &Endpoint| {
        endpoint.target_ref.as_ref().map(|target| {
            (
                target.kind.clone(),
                target.namespace.clone(),
                target.name.clone(),
                target.uid.clone(),
            )
        })
    };
    a.addresses == b.addresses
        && is_ready(a) == is_ready(b)
        && is_serving(a) == is_serving(b)
        && is_terminating(a) == is_terminating(b)
        && a.node_name == b.node_name
        && a.zone == b.zone
        && a.hints == b.hints
        && a.hostname == b.hostname
        && target(a) == target(b)
}

/// Whether two lists mean the same.
pub(super) fn same(a: &[Endpoint], b: &[Endpoint]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_one(a, b))
}

/// How urgent it is to replace `found` by `wanted`.
pub(super) fn urgency(wanted: &[Endpoint], found: &[Endpoint]) -> crate::Priority {
    let still_ready = |endpoint: &&Endpoint| {
        wanted
            .iter()
            .any(|other| other.addresses == endpoint.addresses && is_ready(other))
    };
    if found
        .iter()
        .filter(|endpoint| is_ready(endpoint))
        .all(|endpoint| still_ready(&endpoint))
    {
        crate::Priority::Add
    } else {
        crate::Priority::Remove
    }
}
