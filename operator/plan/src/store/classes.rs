//! Whether a class may be bound, and that it is not deleted then.

use shoal_crds::{CLASS_FINALIZER, EMBEDDED_CLASS, Interface, Reason};

use super::volume::provided;
use crate::{Index, Priority, WriteAction, output::Plan, revision::Fault};

/// Whether something new may be bound to a class, for an app of this namespace.
///
/// # Errors
/// Reason and message of `StoresBound`.
pub(super) fn may_bind(
    index: &Index,
    namespace: &str,
    class: &str,
    interface: Interface,
) -> Result<(), Fault> {
    if index.classes.is_unreadable(class) {
        let text = format!("StoreClass `{class}` is of a later version of Shoal than this one");
        return Err((Reason::StoreUnusable, text));
    }
    let found = index.classes.get(class);
    let labels = index.namespaces.labels(namespace);
    let spec = found.map(|found| &found.spec);
    shoal_crds::may_bind((class, spec), interface, (namespace, labels))
        .map_err(|refused| (refused.reason, refused.message))?;
    let is_deleted = found.is_some_and(|found| found.metadata.deletion_timestamp.is_some());
    // What is built in stays when its settings go.
    if is_deleted && class != EMBEDDED_CLASS {
        let text = format!("StoreClass `{class}` is being deleted");
        return Err((Reason::StoreClassDeleting, text));
    }
    Ok(())
}

/// Whether a Store of this class and interface may be made in a namespace by hand, as far as an App there could bind
/// it. All objects of the cluster are to be known.
///
/// # Errors
/// It may not, and why.
pub fn may_make_store(
    index: &Index,
    namespace: &str,
    class: &str,
    interface: Interface,
) -> Result<(), String> {
    if !index.namespaces.is_known(namespace) {
        return Err(format!("namespace `{namespace}` does not exist (yet)"));
    }
    may_bind(index, namespace, class, interface)
        .and_then(|()| provided(index, class))
        .map_err(|(_, why)| why)
}

/// Keeps a class from being deleted, before a Store of it is made.
pub(crate) fn hold(index: &Index, class: &str, plan: &mut Plan) {
    let Some(found) = index.classes.get(class).filter(|_| class != EMBEDDED_CLASS) else {
        return;
    };
    let mut finalizers = found.metadata.finalizers.iter().flatten();
    if finalizers.any(|one| one == CLASS_FINALIZER) {
        return;
    }
    let write = WriteAction::HoldClass {
        name: class.to_owned(),
        uid: found.metadata.uid.clone().unwrap_or_default(),
        holds: true,
    };
    let write = write.at(Priority::Add);
    if !plan.writes.contains(&write) {
        plan.writes.push(write);
    }
}
