//! What the I/O itself wants to know of the objects that go into the index.

use k8s_openapi::api::core::v1::{Namespace, Node, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use shoal_crds::{App, RuntimePool, Store, StoreClass};
use shoal_plan::ObjectKey;

use crate::world::{PodFacts, World};

/// A kind of object of which something is noted besides the index.
pub(super) trait Observe: Sized {
    /// Takes note of an object.
    fn observe(&self, _world: &World) {}
    /// The object is gone.
    fn forget(&self, _world: &World) {}
    /// The object of this name, which could not be read, is gone.
    fn forget_named(_key: ObjectKey, _world: &World) {}
    /// These are all that there are; each is observed next.
    fn reset(_objects: &[Self], _world: &World) {}
    /// Its metadata.
    fn metadata_mut(&mut self) -> &mut ObjectMeta;
}

macro_rules! unobserved {
    ($($kind:ty),+) => { $(
        impl Observe for $kind {
            fn metadata_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    )+ };
}

unobserved!(
    Store,
    StoreClass,
    RuntimePool,
    Service,
    EndpointSlice,
    Namespace,
    PersistentVolumeClaim
);

impl Observe for App {
    fn observe(&self, world: &World) {
        let built = self
            .status
            .as_ref()
            .is_some_and(|status| status.image.is_some());
        let uid = self.metadata.uid.clone().unwrap_or_default();
        world.note_app(ObjectKey::of(&self.metadata), Some((uid, built)));
    }

    fn forget(&self, world: &World) {
        world.note_app(ObjectKey::of(&self.metadata), None);
    }

    fn forget_named(key: ObjectKey, world: &World) {
        world.note_app(key, None);
    }

    fn reset(_objects: &[Self], world: &World) {
        world.forget_apps();
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl Observe for Pod {
    fn observe(&self, world: &World) {
        let Some(uid) = self.metadata.uid.as_deref() else {
            return;
        };
        let Some(node) = self.spec.as_ref().and_then(|spec| spec.node_name.clone()) else {
            return;
        };
        let ips = self
            .status
            .as_ref()
            .and_then(|status| status.pod_ips.as_ref());
        let addresses = ips
            .into_iter()
            .flatten()
            .filter_map(|ip| ip.ip.parse().ok())
            .collect();
        world.note_pod(uid, Some(PodFacts { node, addresses }));
    }

    fn forget(&self, world: &World) {
        if let Some(uid) = self.metadata.uid.as_deref() {
            world.note_pod(uid, None);
        }
    }

    fn reset(_objects: &[Self], world: &World) {
        world.forget_pods();
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl Observe for Node {
    fn observe(&self, world: &World) {
        let Some(name) = self.metadata.name.as_deref() else {
            return;
        };
        let conditions = self
            .status
            .as_ref()
            .and_then(|status| status.conditions.as_ref());
        let mut conditions = conditions.into_iter().flatten();
        let ready = conditions.any(|one| one.type_ == "Ready" && one.status == "True");
        world.note_node(name, ready);
    }

    fn forget(&self, world: &World) {
        if let Some(name) = self.metadata.name.as_deref() {
            world.note_node(name, false);
        }
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
