//! EndpointSlices: what they are to hold, and the writes that make them so.
//!
//! One slice for each IP family until there are more than 100 endpoints. An endpoint stays in its slice. A slice
//! that loses its last endpoint stays, empty: "no endpoints" is not "not looked at".

mod endpoint;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        core::v1::Service,
        discovery::v1::{Endpoint, EndpointPort, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use shoal_crds::SLICE_MANAGER;

use crate::{ObjectKey, Priority, Write, WriteAction, hash, service::PORT_NAME};
pub(crate) use endpoint::{PodEndpoint, WantedEndpoint, is_ready, is_terminating, pod_uid};

/// Label that names a slice's Service.
pub(crate) const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";
/// Label that names a slice's controller.
pub(crate) const MANAGED_BY_LABEL: &str = "endpointslice.kubernetes.io/managed-by";
/// Label that keeps slices of headless Services from kube-proxy.
const HEADLESS_LABEL: &str = "service.kubernetes.io/headless";
/// Annotation that kube-proxy measures its latency from.
const TRIGGER_ANNOTATION: &str = "endpoints.kubernetes.io/last-change-trigger-time";
/// Controllers of Kubernetes itself, which leave slices behind when a selector is removed again.
pub(crate) const BUILT_IN_MANAGERS: [&str; 2] = [
    "endpointslice-controller.k8s.io",
    "endpointslicemirroring-controller.k8s.io",
];
const MAX_ENDPOINTS: usize = 100;

/// Whether the slice belongs to the Service of this uid, not to an earlier one of its name.
pub(crate) fn is_of(slice: &EndpointSlice, service: Option<&str>) -> bool {
    let owners = slice.metadata.owner_references.iter().flatten();
    let mut controllers = owners.filter(|owner| owner.controller == Some(true));
    controllers.any(|owner| Some(owner.uid.as_str()) == service)
}

/// The writes after which the slices of `service` hold `wanted` (by pod uid; a pod that is not named leaves).
/// `found`: our slices of this very Service. `taken`: whether a name is in use.
pub(crate) fn diff(
    service: &Service,
    port: u16,
    wanted: &BTreeMap<Arc<str>, PodEndpoint>,
    found: &[Arc<EndpointSlice>],
    taken: impl Fn(&ObjectKey) -> bool,
    now: Timestamp,
) -> Vec<Write> {
    let shape = Shape::of(service, port);
    let mut writes = Vec::new();
    for family in &shape.families {
        let mut own: Vec<&Arc<EndpointSlice>> = found
            .iter()
            .filter(|slice| slice.address_type == *family)
            .collect();
        own.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        let buckets = fill(family, wanted, &own);
        shape.write_family(family, &own, buckets, &taken, now, &mut writes);
    }
    let stale = found
        .iter()
        .filter(|slice| !shape.families.contains(&slice.address_type));
    writes.extend(stale.map(|slice| delete(slice)));
    writes
}

/// Endpoints by slice: one list for each of `own`, then those of new slices.
fn fill(
    family: &str,
    wanted: &BTreeMap<Arc<str>, PodEndpoint>,
    own: &[&Arc<EndpointSlice>],
) -> Vec<Vec<Endpoint>> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut buckets: Vec<Vec<Endpoint>> = Vec::new();
    let mut changed: Vec<bool> = Vec::new();
    for slice in own {
        let mut kept = Vec::new();
        for endpoint in &slice.endpoints {
            let Some((uid, pod)) = pod_uid(endpoint).and_then(|uid| wanted.get_key_value(uid))
            else {
                continue;
            };
            if let Some(endpoint) = pod.in_place_of(endpoint, family)
                && seen.insert(uid)
            {
                kept.push(endpoint);
            }
        }
        changed.push(!endpoint::same(&kept, &slice.endpoints));
        buckets.push(kept);
    }
    let new = wanted.iter().filter(|(uid, _)| !seen.contains(&***uid));
    for endpoint in new.filter_map(|(_, pod)| pod.fresh(family)) {
        // A slice that is written anyway first, then the fullest that has room.
        let room =
            (0..buckets.len()).filter(|n| buckets.get(*n).is_some_and(|b| b.len() < MAX_ENDPOINTS));
        let best = room.max_by_key(|n| {
            let size = buckets.get(*n).map_or(0, Vec::len);
            (
                changed.get(*n).copied().unwrap_or(true),
                size,
                std::cmp::Reverse(*n),
            )
        });
        match best.and_then(|n| Some((buckets.get_mut(n)?, n))) {
            Some((bucket, n)) => {
                bucket.push(endpoint);
                if let Some(changed) = changed.get_mut(n) {
                    *changed = true;
                }
            }
            None => buckets.push(vec![endpoint]),
        }
    }
    buckets
}

/// What all slices of a Service have in common.
struct Shape<'a> {
    service: &'a Service,
    key: ObjectKey,
    families: Vec<String>,
    labels: BTreeMap<String, String>,
    ports: Vec<EndpointPort>,
}

impl<'a> Shape<'a> {
    fn of(service: &'a Service, port: u16) -> Self {
        let key = ObjectKey::of(&service.metadata);
        let spec = service.spec.as_ref();
        let reserved = [SERVICE_NAME_LABEL, MANAGED_BY_LABEL, HEADLESS_LABEL];
        let mut labels = service.metadata.labels.clone().unwrap_or_default();
        labels.retain(|name, _| !reserved.contains(&name.as_str()));
        labels.insert(SERVICE_NAME_LABEL.to_owned(), key.name.to_string());
        labels.insert(MANAGED_BY_LABEL.to_owned(), SLICE_MANAGER.to_owned());
        if spec.and_then(|spec| spec.cluster_ip.as_deref()) == Some("None") {
            labels.insert(HEADLESS_LABEL.to_owned(), String::new());
        }
        let service_port = spec.and_then(|spec| spec.ports.as_ref()?.first());
        let ports = vec![EndpointPort {
            name: Some(PORT_NAME.to_owned()),
            port: Some(i32::from(port)),
            protocol: Some("TCP".to_owned()),
            app_protocol: service_port.and_then(|port| port.app_protocol.clone()),
        }];
        let families = spec
            .and_then(|spec| spec.ip_families.clone())
            .unwrap_or_default();
        Self {
            service,
            key,
            families,
            labels,
            ports,
        }
    }

    fn write_family(
        &self,
        family: &str,
        own: &[&Arc<EndpointSlice>],
        buckets: Vec<Vec<Endpoint>>,
        taken: &impl Fn(&ObjectKey) -> bool,
        now: Timestamp,
        writes: &mut Vec<Write>,
    ) {
        let mut empty_one_stays = buckets.iter().all(Vec::is_empty);
        let mut names = self.names(family).filter(|name| !taken(name));
        for (n, endpoints) in buckets.into_iter().enumerate() {
            match own.get(n) {
                Some(slice) if endpoints.is_empty() && !std::mem::take(&mut empty_one_stays) => {
                    writes.push(delete(slice));
                }
                Some(slice) => writes.extend(self.update(slice, endpoints, now)),
                None => {
                    if let Some(name) = names.next() {
                        let slice = self.create(&name, family, endpoints, now);
                        writes.push(WriteAction::CreateSlice(Box::new(slice)).at(Priority::Add));
                    }
                }
            }
        }
    }

    fn names(&self, family: &str) -> impl Iterator<Item = ObjectKey> {
        let uid = self.service.metadata.uid.as_deref().unwrap_or_default();
        (0..u32::MAX).map(move |index| {
            let hash = hash::hex(format!("{uid}/{family}/{index}").as_bytes(), 5);
            self.key.sibling(&format!("{}-{hash}", self.key.name))
        })
    }

    fn create(
        &self,
        key: &ObjectKey,
        family: &str,
        endpoints: Vec<Endpoint>,
        now: Timestamp,
    ) -> EndpointSlice {
        EndpointSlice {
            metadata: ObjectMeta {
                name: Some(key.name.to_string()),
                namespace: Some(key.namespace.to_string()),
                labels: Some(self.labels.clone()),
                annotations: Some(BTreeMap::from([trigger(now)])),
                owner_references: Some(vec![OwnerReference {
                    api_version: "v1".to_owned(),
                    kind: "Service".to_owned(),
                    name: self.key.name.to_string(),
                    uid: self.service.metadata.uid.clone().unwrap_or_default(),
                    controller: Some(true),
                    block_owner_deletion: Some(true),
                }]),
                ..ObjectMeta::default()
            },
            address_type: family.to_owned(),
            endpoints,
            ports: Some(self.ports.clone()),
        }
    }

    fn update(
        &self,
        found: &EndpointSlice,
        endpoints: Vec<Endpoint>,
        now: Timestamp,
    ) -> Option<Write> {
        let same_endpoints = endpoint::same(&endpoints, &found.endpoints);
        let same_shape = found.metadata.labels.as_ref() == Some(&self.labels)
            && found
                .ports
                .as_deref()
                .is_some_and(|ports| same_ports(ports, &self.ports));
        if same_endpoints && same_shape {
            return None;
        }
        let priority = if same_endpoints {
            Priority::Cosmetic
        } else {
            endpoint::urgency(&endpoints, &found.endpoints)
        };
        let mut slice = found.clone();
        slice.metadata.labels = Some(self.labels.clone());
        slice.metadata.managed_fields = None;
        if !same_endpoints {
            let (name, value) = trigger(now);
            slice
                .metadata
                .annotations
                .get_or_insert_default()
                .insert(name, value);
        }
        slice.endpoints = endpoints;
        slice.ports = Some(self.ports.clone());
        Some(WriteAction::UpdateSlice(Box::new(slice)).at(priority))
    }
}

fn same_ports(found: &[EndpointPort], wanted: &[EndpointPort]) -> bool {
    found.len() == wanted.len()
        && found.iter().zip(wanted).all(|(found, wanted)| {
            found.name == wanted.name
                && found.port == wanted.port
                && found.app_protocol == wanted.app_protocol
                && found.protocol.as_deref().unwrap_or("TCP") == "TCP"
        })
}

fn trigger(now: Timestamp) -> (String, String) {
    (TRIGGER_ANNOTATION.to_owned(), now.to_string())
}

/// A deletion of a slice of ours.
pub(crate) fn delete(slice: &EndpointSlice) -> Write {
    let action = WriteAction::DeleteSlice {
        key: ObjectKey::of(&slice.metadata),
        uid: slice.metadata.uid.clone().unwrap_or_default(),
    };
    action.at(Priority::Remove)
}
