//! What becomes of the writes of a plan: refused, or done as the real API server does them, which fills in what is
//! not said.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use super::Api;
use crate::{AppKey, Index, ObjectKey, WriteAction};

impl Api {
    /// Does a write of a plan of `app` and tells the index what came of it; returns whether it was done.
    pub(in super::super) fn execute(
        &mut self,
        app: &AppKey,
        action: WriteAction,
        now: Timestamp,
        index: &mut Index,
    ) -> bool {
        if let Some(why) = self.refusing.get(action.kind()) {
            index.write_refused(app, action.kind(), why, now);
            return false;
        }
        self.accept(action, now, index);
        true
    }

    fn accept(&mut self, action: WriteAction, now: Timestamp, index: &mut Index) {
        match action {
            WriteAction::CreateStore(mut store) => {
                self.version += 1;
                store.spec.id = Some(format!("00000000-0000-4000-8000-{:012}", self.version));
                assert!(
                    !self.stores.contains_key(&ObjectKey::of(&store.metadata)),
                    "made twice"
                );
                index.apply(self.put_store(*store, now));
            }
            WriteAction::SetStoreId {
                key,
                resource_version,
                finalizers,
            } => {
                let mut store = self.stores[&key].clone();
                assert_eq!(store.metadata.resource_version, Some(resource_version));
                store.metadata.finalizers = Some(finalizers);
                store.spec.id = Some(format!("00000000-0000-4000-8000-{:012}", self.version));
                index.apply(self.put_store(store, now));
            }
            WriteAction::PatchStoreStatus { key, uid, status } => {
                let mut store = self.stores[&key].clone();
                assert_eq!(store.metadata.uid, Some(uid));
                store.status = Some(status);
                index.apply(self.put_store(store, now));
            }
            WriteAction::HoldStore {
                key,
                resource_version,
                finalizers,
            } => {
                let mut store = self.stores[&key].clone();
                assert_eq!(store.metadata.resource_version, Some(resource_version));
                store.metadata.finalizers = Some(finalizers);
                self.keep_while_held(store, now, index);
            }
            WriteAction::DeleteStore {
                key,
                uid,
                resource_version,
            } => {
                let metadata = &self.stores[&key].metadata;
                assert_eq!(metadata.uid, Some(uid));
                assert_eq!(metadata.resource_version, Some(resource_version));
                self.delete_store(&key, now, index);
            }
            WriteAction::HoldClass { name, uid, holds } => {
                assert_eq!(self.classes[&name].metadata.uid, Some(uid));
                self.hold_class(&name, holds, now, index);
            }
            WriteAction::PatchClassStatus { name, uid, status } => {
                let mut class = self.classes[&name].clone();
                assert_eq!(class.metadata.uid, Some(uid));
                class.status = Some(status);
                index.apply(self.put_class(class, now));
            }
            WriteAction::CreateService(service) => {
                assert!(
                    !self
                        .services
                        .contains_key(&ObjectKey::of(&service.metadata)),
                    "made twice"
                );
                index.apply(self.put_service(defaulted(*service), now));
            }
            WriteAction::PatchService { key, patch } => {
                let mut value = serde_json::to_value(&self.services[&key]).unwrap();
                let version = patch["metadata"]["resourceVersion"].as_str();
                assert_eq!(
                    version,
                    self.services[&key].metadata.resource_version.as_deref()
                );
                merge(&mut value, &patch);
                index.apply(
                    self.put_service(defaulted(serde_json::from_value(value).unwrap()), now),
                );
            }
            WriteAction::CreateSlice(slice) => {
                assert!(
                    !self.slices.contains_key(&ObjectKey::of(&slice.metadata)),
                    "made twice"
                );
                index.apply(self.put_slice(*slice, now));
            }
            WriteAction::UpdateSlice(slice) => {
                let known = &self.slices[&ObjectKey::of(&slice.metadata)];
                assert_eq!(
                    known.metadata.resource_version,
                    slice.metadata.resource_version
                );
                index.apply(self.put_slice(*slice, now));
            }
            WriteAction::DeleteSlice { key, uid } => {
                let slice = self.slices.remove(&key).unwrap();
                assert_eq!(slice.metadata.uid, Some(uid));
                index.delete(&slice);
            }
            WriteAction::DeleteEndpoints { .. } => self.endpoints_deleted += 1,
            WriteAction::PatchAppStatus { key, uid, status } => {
                let mut app = self.apps[&key].clone();
                assert_eq!(app.metadata.uid, Some(uid));
                assert_ne!(
                    app.status.as_ref(),
                    Some(&*status),
                    "a write that changes nothing"
                );
                app.status = Some(*status);
                self.stamp(&mut app.metadata, now);
                self.apps.insert(key, app.clone());
                index.apply(app);
            }
        }
    }
}

/// A JSON merge patch (RFC 7386).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let object = target.as_object_mut().unwrap();
    for (name, value) in patch {
        if value.is_null() {
            object.remove(name);
        } else {
            merge(object.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// What the API server fills in.
fn defaulted(mut service: Service) -> Service {
    let spec = service.spec.get_or_insert_default();
    if spec.ip_families.is_none() {
        let families = match spec.ip_family_policy.as_deref() {
            Some("SingleStack") => vec!["IPv4"],
            _ => vec!["IPv4", "IPv6"],
        };
        spec.ip_families = Some(families.into_iter().map(str::to_owned).collect());
    }
    spec.cluster_ip
        .get_or_insert_with(|| "10.96.0.7".to_owned());
    if spec.type_.as_deref() == Some("NodePort") {
        for port in spec.ports.iter_mut().flatten() {
            port.node_port.get_or_insert(30_007);
        }
    }
    service
}
