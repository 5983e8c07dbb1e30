//! Which of two versions of an object is the newer.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Whether `new` is an older version of the object that `known` is a version of: an answer to a write and the
/// watch may bring the same object in either order. (Resource versions are comparable numbers; where one is not,
/// the last to come counts.)
pub(super) fn is_older(new: &ObjectMeta, known: &ObjectMeta) -> bool {
    let number = |metadata: &ObjectMeta| metadata.resource_version.as_deref()?.parse::<u64>().ok();
    new.uid == known.uid
        && match (number(new), number(known)) {
            (Some(new), Some(known)) => new < known,
            _ => false,
        }
}
