//! Apps that are there and cannot be read, because a later version of Shoal wrote them: left as they are.

use std::collections::BTreeMap;

use super::Index;
use crate::{AppKey, AppRef, ObjectKey};

/// Their uids, by name.
#[derive(Debug, Default)]
pub(crate) struct Unreadable {
    apps: BTreeMap<AppKey, String>,
}

impl Unreadable {
    /// Whether there is an App of this name that cannot be read and was not read before either.
    pub(crate) fn contains(&self, app: &AppKey) -> bool {
        self.apps.contains_key(app)
    }

    /// The App as the streams name it.
    pub(super) fn app_ref(&self, app: &AppKey) -> Option<AppRef> {
        Some(AppRef::new(app, self.apps.get(app)?))
    }

    /// It can be read now, or is gone.
    pub(super) fn forget(&mut self, app: &AppKey) {
        self.apps.remove(app);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&AppKey, &String)> {
        self.apps.iter()
    }
}

impl Index {
    /// An App cannot be read: what was read before holds.
    pub(super) fn leave_app(&mut self, key: &ObjectKey, uid: &str) {
        let is_known = self
            .apps
            .get(key)
            .and_then(|entry| entry.app.as_deref())
            .is_some_and(|app| app.metadata.uid.as_deref() == Some(uid));
        if !is_known {
            self.delete_app(key, None);
            self.unreadable.apps.insert(key.clone(), uid.to_owned());
            self.dirty.insert(key.clone());
        }
    }
}
