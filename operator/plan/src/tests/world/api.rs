//! An API server that keeps objects and gives them uids and versions.

mod accept;

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        core::v1::{Namespace, Node, PersistentVolumeClaim, Service},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use serde_json::json;
use shoal_crds::{App, CLASS_FINALIZER, Store, StoreClass};

use super::NAMESPACE;
use crate::{
    AppKey, Index, ObjectKey,
    slice::{is_ready, is_terminating},
};

#[derive(Default)]
pub(in crate::tests) struct Api {
    pub(in crate::tests) apps: BTreeMap<ObjectKey, App>,
    pub(in crate::tests) services: BTreeMap<ObjectKey, Service>,
    pub(in crate::tests) slices: BTreeMap<ObjectKey, EndpointSlice>,
    pub(in crate::tests) stores: BTreeMap<ObjectKey, Store>,
    pub(in crate::tests) classes: BTreeMap<String, StoreClass>,
    pub(in crate::tests) namespaces: BTreeMap<String, Namespace>,
    /// Of Shoal's own namespace.
    pub(in crate::tests) claims: Vec<PersistentVolumeClaim>,
    pub(in crate::tests) nodes: BTreeMap<String, Node>,
    /// Names and uids of Apps that cannot be read.
    pub(in crate::tests) unreadable: Vec<(ObjectKey, String)>,
    pub(in crate::tests) endpoints_deleted: usize,
    /// Kinds of which no write is accepted, and why.
    pub(in crate::tests) refusing: BTreeMap<&'static str, &'static str>,
    version: u64,
}

/// What a watch tells the index.
pub(in crate::tests) type Told = Box<dyn FnOnce(&mut Index)>;

/// An endpoint, in short.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::tests) struct Shown {
    pub(in crate::tests) node: String,
    pub(in crate::tests) address: String,
    pub(in crate::tests) ready: bool,
    pub(in crate::tests) terminating: bool,
}

impl Api {
    fn stamp(&mut self, metadata: &mut ObjectMeta, now: Timestamp) {
        self.version += 1;
        metadata.resource_version = Some(self.version.to_string());
        metadata
            .uid
            .get_or_insert_with(|| format!("uid-{}", self.version));
        metadata.creation_timestamp.get_or_insert(Time(now));
    }

    /// Everything, as a watch lists it.
    pub(in crate::tests) fn feed_to(&self, index: &mut Index) {
        index.reset(self.claims.clone(), &[]);
        index.reset(self.nodes.values().cloned().collect::<Vec<_>>(), &[]);
        index.reset(self.slices.values().cloned().collect::<Vec<_>>(), &[]);
        index.reset(self.services.values().cloned().collect::<Vec<_>>(), &[]);
        index.reset(self.stores.values().cloned().collect::<Vec<_>>(), &[]);
        index.reset(self.classes.values().cloned().collect::<Vec<_>>(), &[]);
        index.reset(self.namespaces.values().cloned().collect::<Vec<_>>(), &[]);
        index.reset(
            self.apps.values().cloned().collect::<Vec<_>>(),
            &self.unreadable,
        );
    }

    pub(super) fn edit_app(
        &mut self,
        key: &AppKey,
        now: Timestamp,
        edit: impl FnOnce(&mut App),
    ) -> App {
        let mut app = self.apps.get(key).cloned().unwrap_or_else(|| {
            let spec = serde_json::from_value(json!({"image": "none"})).unwrap();
            let mut app = App::new(&key.name, spec);
            app.metadata.namespace = Some(key.namespace.to_string());
            app
        });
        let before = app.spec.clone();
        edit(&mut app);
        if app.metadata.generation.is_none() || app.spec != before {
            app.metadata.generation = Some(app.metadata.generation.unwrap_or(0) + 1);
        }
        self.stamp(&mut app.metadata, now);
        self.apps.insert(key.clone(), app.clone());
        app
    }

    /// Deletes an App and what it owns; returns what a watch then says.
    pub(super) fn delete_app(&mut self, key: &AppKey) -> Vec<Told> {
        let mut told: Vec<Told> = Vec::new();
        let app = self.apps.remove(key).unwrap();
        let uid = app.metadata.uid.clone();
        told.push(Box::new(move |index| index.delete(&app)));
        let owned = |metadata: &ObjectMeta| {
            metadata
                .owner_references
                .iter()
                .flatten()
                .any(|owner| Some(&owner.uid) == uid.as_ref())
        };
        if self
            .services
            .get(key)
            .is_some_and(|service| owned(&service.metadata))
        {
            told.extend(self.delete_service(key));
        }
        told
    }

    /// Deletes a Service and its slices.
    pub(in crate::tests) fn delete_service(&mut self, key: &ObjectKey) -> Vec<Told> {
        let mut told: Vec<Told> = Vec::new();
        let service = self.services.remove(key).unwrap();
        let uid = service.metadata.uid.clone();
        told.push(Box::new(move |index| index.delete(&service)));
        let owned = |slice: &EndpointSlice| {
            slice
                .metadata
                .owner_references
                .iter()
                .flatten()
                .any(|owner| Some(&owner.uid) == uid.as_ref())
        };
        let slices: Vec<ObjectKey> = self
            .slices
            .iter()
            .filter(|(_, slice)| owned(slice))
            .map(|(key, _)| key.clone())
            .collect();
        for key in slices {
            let slice = self.slices.remove(&key).unwrap();
            told.push(Box::new(move |index| index.delete(&slice)));
        }
        told
    }

    /// Puts a Service there as someone else does, or changes one.
    pub(in crate::tests) fn put_service(
        &mut self,
        mut service: Service,
        now: Timestamp,
    ) -> Service {
        self.stamp(&mut service.metadata, now);
        self.services
            .insert(ObjectKey::of(&service.metadata), service.clone());
        service
    }

    /// Changes an App as someone else does.
    pub(in crate::tests) fn put_app(&mut self, mut app: App, now: Timestamp) -> App {
        self.stamp(&mut app.metadata, now);
        self.apps.insert(ObjectKey::of(&app.metadata), app.clone());
        app
    }

    /// Writes of this kind are refused from now on.
    pub(in crate::tests) fn refuse(&mut self, kind: &'static str, why: &'static str) {
        self.refusing.insert(kind, why);
    }

    /// Puts a slice there as someone else does.
    pub(in crate::tests) fn put_slice(
        &mut self,
        mut slice: EndpointSlice,
        now: Timestamp,
    ) -> EndpointSlice {
        self.stamp(&mut slice.metadata, now);
        self.slices
            .insert(ObjectKey::of(&slice.metadata), slice.clone());
        slice
    }

    /// Puts a Store there as someone else does.
    pub(in crate::tests) fn put_store(&mut self, mut store: Store, now: Timestamp) -> Store {
        store.metadata.namespace = Some(NAMESPACE.to_owned());
        self.stamp(&mut store.metadata, now);
        self.stores
            .insert(ObjectKey::of(&store.metadata), store.clone());
        store
    }

    /// Puts a StoreClass there, or changes one, as someone else does.
    pub(in crate::tests) fn put_class(
        &mut self,
        mut class: StoreClass,
        now: Timestamp,
    ) -> StoreClass {
        self.stamp(&mut class.metadata, now);
        let name = class.metadata.name.clone().unwrap();
        self.classes.insert(name, class.clone());
        class
    }

    /// Someone deletes a Store.
    pub(in crate::tests) fn delete_store(
        &mut self,
        key: &ObjectKey,
        now: Timestamp,
        index: &mut Index,
    ) {
        let mut store = self.stores[key].clone();
        store.metadata.deletion_timestamp.get_or_insert(Time(now));
        self.keep_while_held(store, now, index);
    }

    /// A Store that is to be deleted is gone once nothing holds it.
    fn keep_while_held(&mut self, store: Store, now: Timestamp, index: &mut Index) {
        let store = self.put_store(store, now);
        let held = store.metadata.finalizers.iter().flatten().next().is_some();
        if !held && store.metadata.deletion_timestamp.is_some() {
            self.stores.remove(&ObjectKey::of(&store.metadata));
            index.delete(&store);
        } else {
            index.apply(store);
        }
    }

    /// A class that is to be deleted is gone once nothing holds it.
    fn hold_class(&mut self, name: &str, holds: bool, now: Timestamp, index: &mut Index) {
        let mut class = self.classes[name].clone();
        let finalizers = class.metadata.finalizers.get_or_insert_default();
        finalizers.retain(|one| one != CLASS_FINALIZER);
        if holds {
            finalizers.push(CLASS_FINALIZER.to_owned());
        }
        let gone = finalizers.is_empty() && class.metadata.deletion_timestamp.is_some();
        let class = self.put_class(class, now);
        if gone {
            self.classes.remove(name);
            index.delete(&class);
        } else {
            index.apply(class);
        }
    }

    /// Endpoints of a Service, of the family IPv4.
    pub(in crate::tests) fn endpoints(&self, service: &ObjectKey) -> Vec<Shown> {
        let slices = self.slices.values().filter(|slice| {
            let labels = slice.metadata.labels.as_ref().unwrap();
            slice.metadata.namespace.as_deref() == Some(&*service.namespace)
                && labels.get("kubernetes.io/service-name").map(String::as_str)
                    == Some(&*service.name)
                && slice.address_type == "IPv4"
        });
        slices
            .flat_map(|slice| &slice.endpoints)
            .map(|endpoint| Shown {
                node: endpoint.node_name.clone().unwrap_or_default(),
                address: endpoint.addresses[0].clone(),
                ready: is_ready(endpoint),
                terminating: is_terminating(endpoint),
            })
            .collect()
    }
}
