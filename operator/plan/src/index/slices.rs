//! EndpointSlices: ours, and what others left for Services of Apps.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::{Index, version::is_old};
use crate::{
    ObjectKey,
    slice::{MANAGED_BY_LABEL, SERVICE_NAME_LABEL, is_terminating, pod_uid},
};

/// An EndpointSlice, as far as it matters.
#[derive(Clone, Debug)]
pub(crate) enum SliceEntry {
    /// We manage it.
    Ours(Arc<EndpointSlice>),
    /// Someone else does.
    Foreign {
        /// Value of the managed-by label.
        manager: String,
        /// Its uid.
        uid: String,
    },
}

/// EndpointSlices by name, by Service and by the pods that they name.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    by_key: HashMap<ObjectKey, (ObjectKey, SliceEntry)>,
    by_service: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
    by_pod: HashMap<Arc<str>, BTreeSet<ObjectKey>>,
}

fn label<'a>(slice: &'a EndpointSlice, name: &str) -> Option<&'a str> {
    slice
        .metadata
        .labels
        .as_ref()?
        .get(name)
        .map(String::as_str)
}

fn pods(slice: &EndpointSlice) -> BTreeSet<&str> {
    slice.endpoints.iter().filter_map(pod_uid).collect()
}

impl Slices {
    /// The slices of a Service.
    pub(crate) fn of_service(
        &self,
        service: &ObjectKey,
    ) -> impl Iterator<Item = (&ObjectKey, &SliceEntry)> {
        let keys = self.by_service.get(service).into_iter().flatten();
        keys.filter_map(|key| Some((key, &self.by_key.get(key)?.1)))
    }

    /// Our slices of a Service.
    pub(crate) fn ours(&self, service: &ObjectKey) -> impl Iterator<Item = &Arc<EndpointSlice>> {
        self.of_service(service)
            .filter_map(|(_, entry)| match entry {
                SliceEntry::Ours(slice) => Some(slice),
                SliceEntry::Foreign { .. } => None,
            })
    }

    /// Whether a slice of this name exists.
    pub(crate) fn exists(&self, key: &ObjectKey) -> bool {
        self.by_key.contains_key(key)
    }

    /// Every Service that has a slice of ours.
    pub(super) fn services(&self) -> Vec<ObjectKey> {
        let ours = |service: &&ObjectKey| self.ours(service).next().is_some();
        self.by_service.keys().filter(ours).cloned().collect()
    }

    /// Services with a slice of ours that names the pod.
    pub(super) fn services_naming(&self, pod: &str) -> BTreeSet<ObjectKey> {
        let keys = self.by_pod.get(pod).into_iter().flatten();
        keys.filter_map(|key| Some(self.by_key.get(key)?.0.clone()))
            .collect()
    }

    /// Whether a slice of ours names the pod.
    pub(super) fn name_pod(&self, pod: &str) -> bool {
        self.by_pod.contains_key(pod)
    }

    /// Nodes that our slices of a Service name and that are not being left.
    pub(super) fn nodes_of(&self, service: &ObjectKey) -> BTreeSet<String> {
        let endpoints = self.ours(service).flat_map(|slice| &slice.endpoints);
        endpoints
            .filter(|e| !is_terminating(e))
            .filter_map(|e| e.node_name.clone())
            .collect()
    }

    fn insert(&mut self, key: ObjectKey, service: ObjectKey, entry: SliceEntry) {
        self.remove(&key);
        if let SliceEntry::Ours(slice) = &entry {
            for pod in pods(slice) {
                self.by_pod
                    .entry(pod.into())
                    .or_default()
                    .insert(key.clone());
            }
        }
        self.by_service
            .entry(service.clone())
            .or_default()
            .insert(key.clone());
        self.by_key.insert(key, (service, entry));
    }

    fn remove(&mut self, key: &ObjectKey) -> Option<ObjectKey> {
        let (service, entry) = self.by_key.remove(key)?;
        if let SliceEntry::Ours(slice) = &entry {
            for pod in pods(slice) {
                forget(&mut self.by_pod, pod, key);
            }
        }
        forget(&mut self.by_service, &service, key);
        Some(service)
    }

    fn uid(&self, key: &ObjectKey) -> Option<&str> {
        match &self.by_key.get(key)?.1 {
            SliceEntry::Ours(slice) => slice.metadata.uid.as_deref(),
            SliceEntry::Foreign { uid, .. } => Some(uid),
        }
    }
}

fn forget<K, Q>(map: &mut HashMap<K, BTreeSet<ObjectKey>>, key: &Q, value: &ObjectKey)
where
    K: std::borrow::Borrow<Q> + std::hash::Hash + Eq,
    Q: std::hash::Hash + Eq + ?Sized,
{
    if let Some(values) = map.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            map.remove(key);
        }
    }
}

impl Index {
    pub(super) fn apply_slice(&mut self, slice: EndpointSlice) {
        let key = ObjectKey::of(&slice.metadata);
        if let Some((_, SliceEntry::Ours(known))) = self.slices.by_key.get(&key)
            && is_old(&slice.metadata, &known.metadata)
        {
            return;
        }
        if let Some(before) = self.slices.remove(&key) {
            self.slices_changed(&before);
        }
        let Some(service) = label(&slice, SERVICE_NAME_LABEL).map(|name| key.sibling(name)) else {
            return;
        };
        let manager = label(&slice, MANAGED_BY_LABEL)
            .unwrap_or_default()
            .to_owned();
        let entry = if manager == shoal_crds::SLICE_MANAGER {
            SliceEntry::Ours(Arc::new(slice))
        } else {
            SliceEntry::Foreign {
                manager,
                uid: slice.metadata.uid.unwrap_or_default(),
            }
        };
        self.slices.insert(key, service.clone(), entry);
        self.slices_changed(&service);
    }

    pub(super) fn delete_slice(&mut self, key: &ObjectKey, uid: Option<&str>) {
        if uid.is_some() && uid != self.slices.uid(key) {
            return;
        }
        if let Some(service) = self.slices.remove(key) {
            self.slices_changed(&service);
        }
    }

    pub(super) fn known_slices(&self) -> Vec<ObjectKey> {
        self.slices.by_key.keys().cloned().collect()
    }

    fn slices_changed(&mut self, service: &ObjectKey) {
        self.place_as_sliced(service);
        if self.slices.ours(service).next().is_some() {
            // Without an App it is to go.
            self.dirty.insert(service.clone());
        } else {
            self.touch_known(service);
        }
    }

    /// Until an App is planned, where it runs is what its slices say.
    pub(super) fn place_as_sliced(&mut self, app: &ObjectKey) {
        if self
            .apps
            .get(app)
            .is_some_and(|entry| entry.app.is_some() && !entry.memory.planned)
        {
            self.placements.set(app, self.slices.nodes_of(app));
        }
    }
}
