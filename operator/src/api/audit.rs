//! Who did what, told in an Event and in the log.

use k8s_openapi::api::core::v1::ObjectReference;
use shoal_crds::{GROUP, RUNTIME_GROUP, RUNTIME_VERSION, Reason, Store, VERSION};
use tracing::info;

use super::user::User;
use crate::events::{Events, Notice};

/// Where it is told.
#[derive(Clone)]
pub(super) struct Audit(pub(super) Events);

impl Audit {
    /// A user did this, and `what` in words that follow its name.
    pub(super) fn tell(&self, about: ObjectReference, user: &User, reason: Reason, what: &str) {
        let name = about.name.as_deref().unwrap_or_default();
        let namespace = about.namespace.as_deref().unwrap_or_default();
        info!(user = user.name, %reason, namespace, name, what, "data was touched by hand");
        self.0.tell(Notice {
            note: format!("User {} {what}", user.name),
            about,
            warning: false,
            reason: reason.as_str().to_owned(),
            every_time: true,
        });
    }

    /// A deed that is told when the result is dropped, however it ended.
    pub(super) fn record(&self, store: &Store, user: User, reason: Reason) -> Record {
        Record {
            audit: self.clone(),
            about: about_store(store),
            user,
            reason,
            keys: 0,
            ended: false,
        }
    }
}

/// An export or import under way.
pub(super) struct Record {
    audit: Audit,
    about: ObjectReference,
    user: User,
    reason: Reason,
    /// Keys that were read or written so far.
    pub(super) keys: u64,
    /// Whether it came to its end.
    pub(super) ended: bool,
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.ended && self.keys == 0 && self.reason == Reason::Imported {
            return;
        }
        let deed = match self.reason {
            Reason::Imported => "wrote",
            _ => "read",
        };
        let how = if self.ended {
            ""
        } else {
            ", and did not come to the end"
        };
        let what = format!("{deed} {} keys{how}", self.keys);
        self.audit
            .tell(self.about.clone(), &self.user, self.reason, &what);
    }
}

/// A Store, as Events refer to it.
pub(super) fn about_store(store: &Store) -> ObjectReference {
    ObjectReference {
        api_version: Some(format!("{GROUP}/{VERSION}")),
        kind: Some("Store".to_owned()),
        namespace: store.metadata.namespace.clone(),
        name: store.metadata.name.clone(),
        uid: store.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

/// Orphaned data, as Events refer to it.
pub(super) fn about_orphan(id: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some(format!("{RUNTIME_GROUP}/{RUNTIME_VERSION}")),
        kind: Some("StoreOrphan".to_owned()),
        name: Some(id.to_owned()),
        uid: Some(id.to_owned()),
        ..ObjectReference::default()
    }
}
