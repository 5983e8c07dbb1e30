//! What it means for Apps whether the store pod has a volume.

use std::collections::BTreeMap;

use shoal_crds::{EMBEDDED_CLASS, Reason};

use super::BoundStore;
use crate::{Index, Label, ObjectKey, image::Images, revision::Fault, status::Verdict};

/// Whether something new may be bound to a class, as far as the store pod's volume goes.
///
/// # Errors
/// Reason and message of `StoresBound`.
pub(super) fn provided(index: &Index, class: &str) -> Result<(), Fault> {
    let claim = index.store_volume.unprovided();
    match claim.filter(|_| index.classes.is_in_store_pod(class)) {
        None => Ok(()),
        Some(claim) => {
            let text = format!(
                "class `{class}` keeps its data in the pod `shoal-store`, which has no volume: {}",
                explanation(claim)
            );
            Err((Reason::NoPersistentStorage, text))
        }
    }
}

/// Of `StoresBound`, while it is not known which stores an App opens: a builder that cannot be reached where volumes
/// are not provided waits for one as the store pod does, and then nothing else is ever known.
pub(crate) fn unprovided(index: &Index, images: &Images) -> Option<Verdict> {
    let unbuilt = images.wanted.is_none() && images.former.is_none();
    let unavailable = Reason::BuilderUnavailable.as_str();
    let mut steps = [&images.resolved, &images.built].into_iter().flatten();
    let stands = unbuilt && steps.any(|step| step.failed() && step.reason == unavailable);
    let claim = index.store_volume.unprovided().filter(|_| stands)?;
    let text = format!(
        "the pod `shoal-store` has no volume, nor probably has `shoal-builder`, which cannot be reached: {}",
        explanation(claim)
    );
    Some(Verdict::fails(Reason::NoPersistentStorage, text).retried())
}

fn explanation(claim: &ObjectKey) -> String {
    format!(
        "PersistentVolumeClaim `{claim}` is Pending without a StorageClass, as the cluster has no default one; make a \
         StorageClass the default (annotation `storageclass.kubernetes.io/is-default-class: \"true\"`), or install \
         Shoal with manifests/install-ephemeral.yaml, whose data goes with the pod, or make a StoreClass of a database \
         (`postgres`, `redis`, `s3`) the default"
    )
}

/// What is to be known of labels whose data does not outlive the store pod although their class promises it.
pub(super) fn loss(index: &Index, stores: &BTreeMap<Label, BoundStore>) -> Option<String> {
    let embedded =
        |store: &BoundStore| index.classes.backend(&store.class_name) == Some(EMBEDDED_CLASS);
    let labels = stores.iter().filter(|(_, store)| embedded(store));
    let labels: Vec<String> = labels.map(|((_, label), _)| format!("`{label}`")).collect();
    let is_lost = index.store_volume.is_ephemeral() && !labels.is_empty();
    is_lost.then(|| {
        format!(
            "the data of {} goes with the pod `shoal-store` (the operator runs with `--embedded-store=ephemeral`)",
            labels.join(", ")
        )
    })
}
