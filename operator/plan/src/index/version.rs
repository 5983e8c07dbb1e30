//! Which of two versions of an object is the newer.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Whether `new` says nothing that `known` does not: it is the same or an older version of the same object. An answer
/// to a write and the watch may bring an object in either order, and the answer to a write that changed nothing brings
/// it as it was. (Resource versions are comparable numbers; where one is not, the last to come counts.)
pub(super) fn is_old(new: &ObjectMeta, known: &ObjectMeta) -> bool {
    let number = |metadata: &ObjectMeta| metadata.resource_version.as_deref()?.parse::<u64>().ok();
    new.uid == known.uid
        && match (number(new), number(known)) {
            (Some(new), Some(known)) => new <= known,
            _ => false,
        }
}
