//! Whether the store pod gets the volume that it asks for.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use super::Index;
use crate::ObjectKey;

/// Name of the store pod's PersistentVolumeClaim, in Shoal's own namespace: volume `state` of the first pod of the
/// StatefulSet `shoal-store`.
pub const STORE_CLAIM: &str = "state-shoal-store-0";

/// The store pod's claim, as far as it is known.
#[derive(Debug, Default)]
pub(crate) struct StoreVolume {
    claim: Option<Claim>,
    ephemeral: bool,
}

#[derive(Debug)]
struct Claim {
    key: ObjectKey,
    uid: Option<String>,
    unprovided: bool,
}

impl StoreVolume {
    /// The claim that nobody will provide a volume for. Without its volume the store pod does not start.
    pub(crate) fn unprovided(&self) -> Option<&ObjectKey> {
        let claim = self.claim.as_ref().filter(|claim| claim.unprovided)?;
        (!self.ephemeral).then_some(&claim.key)
    }

    /// Whether the store pod is meant to have no volume that outlives it.
    pub(crate) fn is_ephemeral(&self) -> bool {
        self.ephemeral
    }
}

/// Whether a claim waits, and not for a StorageClass. Kubernetes writes the default class into a claim that names
/// none when the claim is made, and when there is a default later on; so a claim without one is proof that there is
/// none. A claim of a class is being provided for, or will be when a pod uses it.
fn is_unprovided(claim: &PersistentVolumeClaim) -> bool {
    let phase = claim
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    let Some(spec) = claim.spec.as_ref().filter(|_| phase == Some("Pending")) else {
        return false;
    };
    let names = |field: &Option<String>| field.as_deref().is_some_and(|name| !name.is_empty());
    !names(&spec.storage_class_name) && !names(&spec.volume_name)
}

impl Index {
    /// Whether the store pod is meant to have no volume that outlives it. It then needs no claim.
    pub fn set_store_ephemeral(&mut self, ephemeral: bool) {
        self.change_store_volume(|volume| volume.ephemeral = ephemeral);
    }

    pub(super) fn apply_claim(&mut self, claim: PersistentVolumeClaim) {
        let key = ObjectKey::of(&claim.metadata);
        if &*key.name != STORE_CLAIM {
            return;
        }
        let claim = Claim {
            key,
            unprovided: is_unprovided(&claim),
            uid: claim.metadata.uid,
        };
        self.change_store_volume(|volume| volume.claim = Some(claim));
    }

    pub(super) fn delete_claim(&mut self, key: &ObjectKey, uid: Option<&str>) {
        let known = self.store_volume.claim.as_ref();
        let is_it = known.is_some_and(|known| {
            known.key == *key && (uid.is_none() || known.uid.as_deref() == uid)
        });
        if is_it {
            self.change_store_volume(|volume| volume.claim = None);
        }
    }

    pub(super) fn known_claims(&self) -> Vec<ObjectKey> {
        let claim = self.store_volume.claim.iter();
        claim.map(|claim| claim.key.clone()).collect()
    }

    /// Any app may be one that is bound now, or that is not any more.
    fn change_store_volume(&mut self, change: impl FnOnce(&mut StoreVolume)) {
        let state = |volume: &StoreVolume| (volume.unprovided().cloned(), volume.ephemeral);
        let before = state(&self.store_volume);
        change(&mut self.store_volume);
        if state(&self.store_volume) != before {
            self.dirty.extend(self.apps.keys().cloned());
        }
    }
}
