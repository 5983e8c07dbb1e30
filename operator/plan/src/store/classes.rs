//! Whether a class may be bound, and that it is not deleted then.

use shoal_crds::{CLASS_FINALIZER, EMBEDDED_CLASS, Interface, Reason};

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
    let Some(found) = index.classes.get(class) else {
        if class == EMBEDDED_CLASS {
            return Ok(());
        }
        let text = format!("StoreClass `{class}` does not exist");
        return Err((Reason::StoreClassNotFound, text));
    };
    // What is built in has both.
    if found.spec.interface != interface && class != EMBEDDED_CLASS {
        let (is, wanted) = (found.spec.interface.as_str(), interface.as_str());
        let text = format!("StoreClass `{class}` is of interface `{is}`, not `{wanted}`");
        return Err((Reason::StoreMismatch, text));
    }
    if !found
        .spec
        .may_be_used_by(index.namespaces.labels(namespace))
    {
        let text = format!(
            "StoreClass `{class}` is not for namespace `{namespace}`: its `namespaceSelector` does not match"
        );
        return Err((Reason::StoreClassNotAllowed, text));
    }
    // What is built in stays when its settings go.
    if found.metadata.deletion_timestamp.is_some() && class != EMBEDDED_CLASS {
        let text = format!("StoreClass `{class}` is being deleted");
        return Err((Reason::StoreClassDeleting, text));
    }
    Ok(())
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
