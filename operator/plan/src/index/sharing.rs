//! Which Apps name which Stores of their namespace, and which use them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use shoal_crds::{App, Store};

use super::Index;
use crate::{AppKey, ObjectKey};

/// Apps to Stores and back.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    /// Stores that each App's `spec.stores` names.
    named: HashMap<AppKey, BTreeSet<ObjectKey>>,
    naming: HashMap<ObjectKey, BTreeSet<AppKey>>,
    /// Stores that each App is bound to, once that is known.
    used: BTreeMap<AppKey, BTreeSet<ObjectKey>>,
    using: HashMap<ObjectKey, BTreeSet<AppKey>>,
}

fn link(links: &mut HashMap<ObjectKey, BTreeSet<AppKey>>, store: &ObjectKey, app: &AppKey) {
    links.entry(store.clone()).or_default().insert(app.clone());
}

fn unlink(links: &mut HashMap<ObjectKey, BTreeSet<AppKey>>, store: &ObjectKey, app: &AppKey) {
    if let Some(apps) = links.get_mut(store) {
        apps.remove(app);
        if apps.is_empty() {
            links.remove(store);
        }
    }
}

impl Sharing {
    /// The App is like this now, or gone.
    pub(super) fn set_named(&mut self, key: &AppKey, app: Option<&App>) {
        for store in self.named.remove(key).into_iter().flatten() {
            unlink(&mut self.naming, &store, key);
        }
        let stores = app.into_iter().flat_map(|app| app.spec.stores.iter());
        let named: BTreeSet<ObjectKey> = stores
            .flatten()
            .filter_map(|one| one.store.as_deref())
            .map(|name| key.sibling(name))
            .collect();
        for store in &named {
            link(&mut self.naming, store, key);
        }
        if !named.is_empty() {
            self.named.insert(key.clone(), named);
        }
    }

    /// Apps that name a Store.
    pub(super) fn naming(&self, store: &ObjectKey) -> impl Iterator<Item = &AppKey> {
        self.naming.get(store).into_iter().flatten()
    }

    /// Apps that are bound to a Store, as far as known.
    pub(crate) fn using(&self, store: &ObjectKey) -> impl Iterator<Item = &AppKey> {
        self.using.get(store).into_iter().flatten()
    }

    /// Whether it is known which Stores an App is bound to.
    pub(crate) fn is_known(&self, app: &AppKey) -> bool {
        self.used.contains_key(app)
    }

    /// Nothing is known of who uses what.
    pub(super) fn forget_uses(&mut self) {
        self.used.clear();
        self.using.clear();
    }

    /// An App is bound to these Stores, or gone; returns those for which that is new.
    fn set_used(&mut self, app: &AppKey, used: Option<BTreeSet<ObjectKey>>) -> Vec<ObjectKey> {
        let before = self.used.remove(app).unwrap_or_default();
        let now = used.clone().unwrap_or_default();
        let changed: Vec<ObjectKey> = before.symmetric_difference(&now).cloned().collect();
        for store in &changed {
            if now.contains(store) {
                link(&mut self.using, store, app);
            } else {
                unlink(&mut self.using, store, app);
            }
        }
        if let Some(used) = used {
            self.used.insert(app.clone(), used);
        }
        changed
    }
}

impl Index {
    /// An App is bound to these Stores; `None`: it is gone. Apps whose Stores they are tell of it, and those that use
    /// them too may be told otherwise.
    pub(crate) fn use_stores(&mut self, app: &AppKey, used: Option<BTreeSet<ObjectKey>>) {
        for store in self.sharing.set_used(app, used) {
            self.touch_sharers(app, &store);
        }
    }

    /// An App is placed otherwise: its share of what all may do on a Store is another.
    pub(crate) fn touch_sharers_of(&mut self, app: &AppKey) {
        let used = self.sharing.used.get(app).cloned().unwrap_or_default();
        for store in used {
            self.touch_sharers(app, &store);
        }
    }

    /// Apps that are bound to a Store of a class, as far as known.
    pub(super) fn apps_with_data_in(&self, class: &str) -> Vec<AppKey> {
        let is_of = |store: &ObjectKey| {
            let store = self.stores.get(store);
            store.is_some_and(|store| store.spec.class_name == class)
        };
        let used = self.sharing.used.iter();
        let apps = used.filter(|(_, stores)| stores.iter().any(is_of));
        apps.map(|(app, _)| app.clone()).collect()
    }

    fn touch_sharers(&mut self, app: &AppKey, store: &ObjectKey) {
        let owner = self.stores.get(store);
        let owner = owner.map(|found| store.sibling(&found.spec.app));
        let touched = owner.into_iter().chain(self.sharing.using(store).cloned());
        let touched: Vec<AppKey> = touched.filter(|other| other != app).collect();
        self.dirty.extend(touched);
    }

    /// Stores that an App may be bound to: its own, and those of its namespace that it names.
    pub(crate) fn stores_within_reach(&self, app: &AppKey) -> Vec<&Arc<Store>> {
        let own = self.stores.of_app(app).into_iter();
        let named = self.sharing.named.get(app).into_iter().flatten();
        let named = named.filter_map(|key| Some((key, self.stores.get(key)?)));
        own.chain(named)
            .filter(|(key, store)| self.stores.older_with_same_id(key, store).is_none())
            .map(|(_, store)| store)
            .collect()
    }
}
