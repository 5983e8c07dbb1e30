//! The Stores that there are.

use std::collections::{BTreeSet, HashMap};

use shoal_protocol::v1;

use crate::StoreId;

/// Longest name that is taken, in bytes: that of a label.
const NAME_BYTES: usize = 256;
/// The class of a Store that names none.
const EMBEDDED: &str = "embedded";
/// The interface of a Store that names none.
pub(super) const KEY_VALUE: &str = "KeyValue";
/// The interface of SQL databases.
pub(super) const SQL: &str = "Sql";
/// The interface of Stores of objects.
pub(super) const BLOB: &str = "Blob";

/// A Store whose data is looked after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Duty {
    pub(super) store: StoreId,
    pub(super) class: String,
    pub(super) namespace: String,
    pub(super) app: String,
    pub(super) label: String,
    pub(super) interface: String,
}

impl Duty {
    /// What a message says, or what is wrong with it.
    pub(super) fn read(message: v1::Duty) -> Result<Self, String> {
        let store = message.store_id.parse();
        let store = store.map_err(|error: crate::InvalidStoreId| error.to_string())?;
        let names = [
            &message.class,
            &message.namespace,
            &message.app,
            &message.label,
            &message.interface,
        ];
        if names.into_iter().any(|name| name.len() > NAME_BYTES) {
            return Err(format!(
                "a name of store {store} is longer than {NAME_BYTES} bytes"
            ));
        }
        Ok(Self {
            store,
            class: class(message.class),
            namespace: message.namespace,
            app: message.app,
            label: message.label,
            interface: interface(message.interface),
        })
    }
}

/// The interface that a message names.
fn interface(name: String) -> String {
    if name.is_empty() {
        KEY_VALUE.to_owned()
    } else {
        name
    }
}

/// The class that a message names.
pub(super) fn class(name: String) -> String {
    if name.is_empty() {
        EMBEDDED.to_owned()
    } else {
        name
    }
}

/// All Stores, by id and by class.
#[derive(Debug, Default)]
pub(super) struct Duties {
    by_id: HashMap<StoreId, Duty>,
    by_class: HashMap<String, BTreeSet<StoreId>>,
}

impl Duties {
    /// These are all. Returns those that were and are not any more.
    pub(super) fn replace(&mut self, all: Vec<Duty>) -> Vec<StoreId> {
        let before = std::mem::take(self).by_id;
        for duty in all {
            self.set(duty);
        }
        let gone = |store: &StoreId| !self.by_id.contains_key(store);
        before.into_keys().filter(gone).collect()
    }

    /// This is one of them.
    pub(super) fn set(&mut self, duty: Duty) {
        self.remove(duty.store);
        let class = self.by_class.entry(duty.class.clone()).or_default();
        class.insert(duty.store);
        self.by_id.insert(duty.store, duty);
    }

    /// This is none of them any more.
    pub(super) fn remove(&mut self, store: StoreId) {
        let Some(duty) = self.by_id.remove(&store) else {
            return;
        };
        if let Some(class) = self.by_class.get_mut(&duty.class) {
            class.remove(&store);
            if class.is_empty() {
                self.by_class.remove(&duty.class);
            }
        }
    }

    /// The class of one of them.
    pub(super) fn class(&self, store: StoreId) -> Option<&str> {
        self.by_id.get(&store).map(|duty| duty.class.as_str())
    }

    /// Whether it is one of them.
    pub(super) fn has(&self, store: StoreId) -> bool {
        self.by_id.contains_key(&store)
    }

    /// The Store of a class that follows after `after`, in an order that stays; `None`: there is no more.
    pub(super) fn next(&self, class: &str, after: Option<StoreId>) -> Option<StoreId> {
        let stores = self.by_class.get(class)?;
        match after {
            None => stores.first().copied(),
            Some(after) => {
                let later = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
                stores.range(later).next().copied()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duty(class: &str) -> Duty {
        Duty::read(v1::Duty {
            store_id: StoreId::random().to_string(),
            class: class.to_owned(),
            ..v1::Duty::default()
        })
        .unwrap()
    }

    fn walk(duties: &Duties, class: &str) -> Vec<StoreId> {
        let mut found = Vec::new();
        while let Some(next) = duties.next(class, found.last().copied()) {
            found.push(next);
        }
        found
    }

    #[test]
    fn every_store_of_a_class_comes_once_in_a_round() {
        let mut duties = Duties::default();
        let mut expected: Vec<StoreId> = Vec::new();
        for _ in 0..10 {
            let one = duty("pg");
            expected.push(one.store);
            duties.set(one);
            duties.set(duty(""));
        }
        expected.sort_unstable();
        assert_eq!(walk(&duties, "pg"), expected);
        assert_eq!(walk(&duties, "embedded").len(), 10);
        assert_eq!(walk(&duties, "other"), []);
        duties.remove(expected[3]);
        expected.remove(3);
        assert_eq!(walk(&duties, "pg"), expected);
    }

    #[test]
    fn what_a_complete_list_does_not_name_is_gone() {
        let (mut duties, one, two) = (Duties::default(), duty("a"), duty("a"));
        assert_eq!(duties.replace(vec![one.clone(), two.clone()]), []);
        let moved = Duty {
            class: "b".to_owned(),
            ..two.clone()
        };
        assert_eq!(duties.replace(vec![moved]), [one.store]);
        assert_eq!(walk(&duties, "a"), []);
        assert_eq!(walk(&duties, "b"), [two.store]);
        assert!(!duties.has(one.store) && duties.has(two.store));
    }

    #[test]
    fn what_names_no_store_is_refused() {
        let named = |store_id: String, app: &str| v1::Duty {
            store_id,
            app: app.to_owned(),
            ..v1::Duty::default()
        };
        let id = StoreId::random().to_string();
        assert!(Duty::read(named(id.clone(), "hello")).is_ok());
        assert!(Duty::read(named(id.to_uppercase() + "x", "hello")).is_err());
        assert!(Duty::read(named(id, &"x".repeat(NAME_BYTES + 1))).is_err());
    }
}
