//! Stores.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use jiff::Timestamp;
use shoal_crds::{Interface, Store};

use super::{Index, version::is_old};
use crate::{AppKey, ObjectKey};

/// Age of a Store: of two that claim the same, the lesser counts.
pub(crate) type Age = (Timestamp, String, ObjectKey);

/// Stores by name, by App, by id and by class.
#[derive(Debug, Default)]
pub(crate) struct Stores {
    by_key: HashMap<ObjectKey, Arc<Store>>,
    by_app: HashMap<AppKey, BTreeSet<ObjectKey>>,
    by_id: HashMap<String, BTreeSet<Age>>,
    by_class: HashMap<String, usize>,
}

fn age(key: &ObjectKey, store: &Store) -> Age {
    let metadata = &store.metadata;
    let created = metadata
        .creation_timestamp
        .as_ref()
        .map_or(Timestamp::MAX, |time| time.0);
    (
        created,
        metadata.uid.clone().unwrap_or_default(),
        key.clone(),
    )
}

impl Stores {
    /// Stores of an App, oldest first.
    pub(crate) fn of_app(&self, app: &AppKey) -> Vec<(&ObjectKey, &Arc<Store>)> {
        let keys = self.by_app.get(app).into_iter().flatten();
        let mut stores: Vec<_> = keys
            .filter_map(|key| Some((key, self.by_key.get(key)?)))
            .collect();
        stores.sort_by_cached_key(|(key, store)| age(key, store));
        stores
    }

    /// The oldest Store for a label of an App that is not being deleted.
    pub(crate) fn find(
        &self,
        app: &AppKey,
        label: &str,
        interface: Interface,
    ) -> Option<(&ObjectKey, &Arc<Store>)> {
        self.of_app(app).into_iter().find(|(_, store)| {
            store.spec.label == label
                && store.spec.interface == interface
                && store.metadata.deletion_timestamp.is_none()
        })
    }

    /// The Store of this name.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&Arc<Store>> {
        self.by_key.get(key)
    }

    /// The Store that has this id; of several the oldest.
    pub(crate) fn with_id(&self, id: &str) -> Option<(&ObjectKey, &Arc<Store>)> {
        let (_, _, key) = self.by_id.get(id)?.first()?;
        Some((key, self.by_key.get(key)?))
    }

    /// Every id that a Store has.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &String> {
        self.by_id.keys()
    }

    /// How many Stores are of a class.
    pub(crate) fn count_of_class(&self, class: &str) -> usize {
        self.by_class.get(class).copied().unwrap_or(0)
    }

    /// The older Store that has the id of this one.
    pub(crate) fn older_with_same_id(&self, key: &ObjectKey, store: &Store) -> Option<&ObjectKey> {
        let (_, _, oldest) = self.by_id.get(store.spec.id.as_deref()?)?.first()?;
        (oldest != key).then_some(oldest)
    }

    /// Every App that has a Store.
    pub(super) fn apps(&self) -> Vec<AppKey> {
        self.by_app.keys().cloned().collect()
    }

    fn insert(&mut self, key: ObjectKey, store: Arc<Store>) {
        self.by_app
            .entry(key.sibling(&store.spec.app))
            .or_default()
            .insert(key.clone());
        if let Some(id) = &store.spec.id {
            self.by_id
                .entry(id.clone())
                .or_default()
                .insert(age(&key, &store));
        }
        *self
            .by_class
            .entry(store.spec.class_name.clone())
            .or_default() += 1;
        self.by_key.insert(key, store);
    }

    /// Removes a Store; returns the Apps that this may concern.
    fn remove(&mut self, key: &ObjectKey) -> Vec<AppKey> {
        let Some(store) = self.by_key.remove(key) else {
            return Vec::new();
        };
        if let Some(count) = self.by_class.get_mut(&store.spec.class_name) {
            *count -= 1;
            if *count == 0 {
                self.by_class.remove(&store.spec.class_name);
            }
        }
        let app = key.sibling(&store.spec.app);
        if let Some(stores) = self.by_app.get_mut(&app) {
            stores.remove(key);
            if stores.is_empty() {
                self.by_app.remove(&app);
            }
        }
        let mut touched = self.sharing(&store);
        touched.push(app);
        if let Some(id) = &store.spec.id
            && let Some(ages) = self.by_id.get_mut(id)
        {
            ages.remove(&age(key, &store));
            if ages.is_empty() {
                self.by_id.remove(id);
            }
        }
        touched
    }

    /// Apps of the Stores that have the id of this one.
    fn sharing(&self, store: &Store) -> Vec<AppKey> {
        let ages = store
            .spec
            .id
            .as_ref()
            .and_then(|id| self.by_id.get(id))
            .into_iter()
            .flatten();
        ages.filter_map(|(_, _, key)| Some(key.sibling(&self.by_key.get(key)?.spec.app)))
            .collect()
    }
}

impl Index {
    pub(super) fn apply_store(&mut self, store: Store) {
        let key = ObjectKey::of(&store.metadata);
        if let Some(known) = self.stores.by_key.get(&key)
            && is_old(&store.metadata, &known.metadata)
        {
            return;
        }
        self.touch_class_of(&key);
        let mut touched = self.stores.remove(&key);
        let store = Arc::new(store);
        self.housekeeping.changed(&store);
        self.stores.insert(key.clone(), Arc::clone(&store));
        touched.extend(self.stores.sharing(&store));
        touched.push(key.sibling(&store.spec.app));
        touched.extend(self.sharing.naming(&key).cloned());
        self.dirty.extend(touched);
        self.touch_class_of(&key);
    }

    pub(super) fn delete_store(&mut self, key: &ObjectKey, uid: Option<&str>) {
        let known = self
            .stores
            .by_key
            .get(key)
            .and_then(|store| store.metadata.uid.as_deref());
        if uid.is_some() && uid != known {
            return;
        }
        self.touch_class_of(key);
        if let Some(store) = self.stores.get(key) {
            self.housekeeping.changed(store);
        }
        let mut touched = self.stores.remove(key);
        touched.extend(self.sharing.naming(key).cloned());
        self.dirty.extend(touched);
    }

    fn touch_class_of(&mut self, key: &ObjectKey) {
        if let Some(store) = self.stores.get(key).cloned() {
            self.touch_class(&store.spec.class_name);
        }
    }

    pub(super) fn known_stores(&self) -> Vec<ObjectKey> {
        self.stores.by_key.keys().cloned().collect()
    }
}
