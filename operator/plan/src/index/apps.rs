//! Apps.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use shoal_crds::{App, RuntimePool};

use super::{Answer, BuildKey, Index, Memory, Rejections, version::is_old};
use crate::{AppKey, ObjectKey, port::Holder};

/// An App, what the builder said about its images, and what was decided for it.
#[derive(Debug, Default)]
pub(crate) struct AppEntry {
    /// `None`: it is gone, and what it leaves behind is to be cleaned up.
    pub(crate) app: Option<Arc<App>>,
    /// Answers to [`crate::Question::Resolve`], by image.
    pub(crate) images: BTreeMap<String, Answer<String>>,
    /// Builds that it looks at.
    pub(crate) builds: BTreeSet<BuildKey>,
    /// What was decided.
    pub(crate) memory: Memory,
    /// Apps that had this name and are gone, to be cleaned up.
    pub(crate) former: Vec<Former>,
    /// What the API server refused to write.
    pub(crate) rejections: Rejections,
    /// When the App was found gone.
    pub(crate) gone_since: Option<Timestamp>,
}

/// An App that is gone.
#[derive(Debug)]
pub(crate) struct Former {
    /// Its uid.
    pub(crate) uid: String,
    /// Pods that were told about it.
    pub(crate) pods: BTreeSet<Arc<str>>,
}

/// The App as one that holds a port.
pub(crate) fn holder(key: &AppKey, app: &App) -> Holder {
    Holder {
        created: app
            .metadata
            .creation_timestamp
            .as_ref()
            .map_or(Timestamp::MAX, |time| time.0),
        uid: app.metadata.uid.clone().unwrap_or_default(),
        app: key.clone(),
    }
}

impl AppEntry {
    fn bury(&mut self) {
        let Some(app) = self.app.take() else { return };
        let memory = std::mem::take(&mut self.memory);
        self.images.clear();
        self.rejections.clear();
        self.former.push(Former {
            uid: app.metadata.uid.clone().unwrap_or_default(),
            pods: memory.instructions.into_keys().collect(),
        });
    }
}

impl Index {
    pub(super) fn apply_app(&mut self, app: App) {
        let key = ObjectKey::of(&app.metadata);
        self.unreadable.forget(&key);
        let entry = self.apps.entry(key.clone()).or_default();
        if let Some(known) = entry.app.as_deref() {
            if is_old(&app.metadata, &known.metadata) {
                return;
            }
            if known.metadata.uid != app.metadata.uid {
                entry.bury();
            } else if known.metadata.generation != app.metadata.generation {
                // The pull secret may be another.
                entry
                    .images
                    .retain(|_, answer| matches!(answer, Answer::Known(_)));
                self.builds.forget_passing_refusals(&entry.builds);
            }
        }
        entry.gone_since = None;
        self.sharing.set_named(&key, Some(&app));
        entry.app = Some(Arc::new(app));
        self.housekeeping.forget_deletion(&key);
        self.place_as_sliced(&key);
        self.dirty.insert(key);
    }

    pub(super) fn delete_app(&mut self, key: &ObjectKey, uid: Option<&str>) {
        if self.unreadable.contains(key) {
            self.unreadable.forget(key);
            self.dirty.insert(key.clone());
            if uid.is_some() {
                self.app_deleted(key);
            }
        }
        let Some(entry) = self.apps.get(key) else {
            return;
        };
        let known = entry
            .app
            .as_deref()
            .and_then(|app| app.metadata.uid.as_deref());
        if uid.is_some() && uid != known {
            return;
        }
        // One that is only missing in a list may never have been deleted.
        if uid.is_some() && entry.app.is_some() {
            self.app_deleted(key);
        }
        let Some(entry) = self.apps.get_mut(key) else {
            return;
        };
        self.sharing.set_named(key, None);
        if self.leading {
            entry.bury();
        } else if let Some(entry) = self.apps.remove(key) {
            self.builds.forget(key, &entry.builds);
            self.placements.set(key, BTreeSet::new());
        }
        self.dirty.insert(key.clone());
    }

    pub(super) fn known_apps(&self) -> Vec<ObjectKey> {
        self.apps
            .iter()
            .filter(|(_, e)| e.app.is_some())
            .map(|(key, _)| key.clone())
            .chain(self.unreadable.iter().map(|(key, _)| key.clone()))
            .collect()
    }

    pub(super) fn apply_pool(&mut self, pool: RuntimePool) {
        if pool.metadata.name.as_deref() == Some(shoal_crds::DEFAULT_POOL) {
            self.set_registries(pool.spec.registries);
        }
    }

    pub(super) fn delete_pool(&mut self, key: &ObjectKey, _uid: Option<&str>) {
        if &*key.name == shoal_crds::DEFAULT_POOL {
            self.set_registries(shoal_crds::Registries::default());
        }
    }

    pub(super) fn known_pools(&self) -> Vec<ObjectKey> {
        vec![ObjectKey::new("", shoal_crds::DEFAULT_POOL)]
    }

    /// Other registries, other answers: what was refused may be asked at once.
    fn set_registries(&mut self, registries: shoal_crds::Registries) {
        if self.registries == registries {
            return;
        }
        self.registries = registries;
        for (key, entry) in &mut self.apps {
            let refused = entry.images.len();
            entry
                .images
                .retain(|_, answer| matches!(answer, Answer::Known(_)));
            if entry.images.len() != refused {
                self.dirty.insert(key.clone());
            }
        }
        let touched = self.builds.forget_refusals();
        self.dirty.extend(touched);
    }

    /// The port that the App's objects say it has: its status, which the operator alone may write, before its
    /// Service, which others may.
    pub(crate) fn recorded_port(&self, key: &AppKey, app: &App) -> Option<u16> {
        let status = app.status.as_ref().and_then(|status| status.port);
        let service = self.services.target_port(key, app.metadata.uid.as_deref());
        status.or(service).and_then(|port| u16::try_from(port).ok())
    }

    /// The ports of Apps that cannot be read, as their Services say: nobody else gets them.
    pub(super) fn ports_of_unreadable(&self) -> impl Iterator<Item = (Holder, u16)> {
        self.unreadable.iter().filter_map(|(key, uid)| {
            let port = self.services.target_port(key, Some(uid))?;
            let holder = Holder {
                created: Timestamp::MIN,
                uid: uid.clone(),
                app: key.clone(),
            };
            Some((holder, u16::try_from(port).ok()?))
        })
    }
}
