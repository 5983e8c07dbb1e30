//! What every kind of object that is watched has in common.

use k8s_openapi::{
    api::{
        core::v1::{Namespace, Node, PersistentVolumeClaim, Pod, Service},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use shoal_crds::{App, RuntimePool, Store, StoreClass};

use super::Index;
use crate::ObjectKey;

/// A kind of object that the index is fed with.
pub trait Watched: Sized {
    /// Takes note of an object.
    fn apply(self, index: &mut Index);
    /// Takes note that an object is gone. With a uid: unless another has its name by now.
    fn delete(index: &mut Index, key: &ObjectKey, uid: Option<&str>);
    /// Takes note that there is an object that cannot be read.
    fn leave(_index: &mut Index, _key: &ObjectKey, _uid: &str) {}
    /// Every object of the kind that the index knows.
    fn known(index: &Index) -> Vec<ObjectKey>;
    /// Its metadata.
    fn metadata(&self) -> &ObjectMeta;
}

impl Index {
    /// An object was made or has changed.
    pub fn apply<T: Watched>(&mut self, object: T) {
        object.apply(self);
    }

    /// An object is gone; `object` is its last state.
    pub fn delete<T: Watched>(&mut self, object: &T) {
        self.delete_by_metadata::<T>(object.metadata());
    }

    /// An object that had this metadata is gone.
    pub fn delete_by_metadata<T: Watched>(&mut self, metadata: &ObjectMeta) {
        T::delete(self, &ObjectKey::of(metadata), metadata.uid.as_deref());
    }

    /// There is an object of the kind that has this name and uid and cannot be read: it stays as it was known, and
    /// what was made for it as it is.
    pub fn leave<T: Watched>(&mut self, key: &ObjectKey, uid: &str) {
        T::leave(self, key, uid);
    }

    /// These are all the objects of the kind that there are, with those that cannot be read (name and uid).
    pub fn reset<T: Watched>(&mut self, objects: Vec<T>, unreadable: &[(ObjectKey, String)]) {
        let mut gone: std::collections::HashSet<ObjectKey> = T::known(self).into_iter().collect();
        for object in &objects {
            gone.remove(&ObjectKey::of(object.metadata()));
        }
        for (key, uid) in unreadable {
            gone.remove(key);
            T::leave(self, key, uid);
        }
        for key in gone {
            T::delete(self, &key, None);
        }
        for object in objects {
            object.apply(self);
        }
    }
}

macro_rules! watched {
    ($($kind:ty: $apply:ident, $delete:ident, $known:ident $(, $leave:ident)?;)+) => { $(
        impl Watched for $kind {
            fn apply(self, index: &mut Index) {
                index.$apply(self);
            }
            fn delete(index: &mut Index, key: &ObjectKey, uid: Option<&str>) {
                index.$delete(key, uid);
            }
            $(fn leave(index: &mut Index, key: &ObjectKey, uid: &str) {
                index.$leave(key, uid);
            })?
            fn known(index: &Index) -> Vec<ObjectKey> {
                index.$known()
            }
            fn metadata(&self) -> &ObjectMeta {
                &self.metadata
            }
        }
    )+ };
}

watched! {
    App: apply_app, delete_app, known_apps, leave_app;
    StoreClass: apply_store_class, delete_store_class, known_store_classes, leave_store_class;
    Store: apply_store, delete_store, known_stores;
    Service: apply_service, delete_service, known_services;
    EndpointSlice: apply_slice, delete_slice, known_slices;
    Node: apply_node, delete_node, known_nodes;
    Pod: apply_pod, delete_pod, known_pods;
    Namespace: apply_namespace, delete_namespace, known_namespaces;
    PersistentVolumeClaim: apply_claim, delete_claim, known_claims;
    RuntimePool: apply_pool, delete_pool, known_pools;
}
