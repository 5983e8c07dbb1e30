//! StoreClasses as runtimes are told of them, credentials included: kept in memory while this replica leads.

mod keeper;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use shoal_protocol::v1;
use tokio::sync::watch;

pub use keeper::Keeper;

/// A class, and which of its versions it is.
#[derive(Clone)]
pub struct Known {
    /// What runtimes are told.
    pub message: Arc<v1::StoreClass>,
    /// Another number for another message.
    pub version: u64,
}

/// What is known of the classes.
#[derive(Default)]
struct State {
    /// `None`: its credentials are not there, and nobody is told of it.
    classes: BTreeMap<String, Option<Known>>,
    versions: u64,
}

/// The classes as they are now.
pub struct ClassBook {
    state: Mutex<State>,
    looked: watch::Sender<u64>,
    look: tokio::sync::Notify,
}

impl Default for ClassBook {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            looked: watch::Sender::new(0),
            look: tokio::sync::Notify::new(),
        }
    }
}

impl ClassBook {
    /// These are the classes now; `None`: the credentials of one are not there. One that is not named is not known
    /// (yet). Returns whether anything is new.
    pub(crate) fn publish(&self, classes: BTreeMap<String, Option<v1::StoreClass>>) -> bool {
        let changed = self.state.lock().replace(classes);
        self.looked.send_modify(|times| *times += 1);
        changed
    }

    /// This replica does not lead: no credentials are kept.
    fn clear(&self) {
        self.state.lock().classes.clear();
    }

    /// A class may have changed: it is to be looked at.
    pub fn look(&self) {
        self.look.notify_one();
    }

    /// Those of these classes that have their credentials; `None` while one of them is not known.
    pub fn pick(&self, names: &BTreeSet<String>) -> Option<Vec<Known>> {
        let state = self.state.lock();
        let mut picked = Vec::new();
        for name in names {
            picked.extend(state.classes.get(name)?.clone());
        }
        Some(picked)
    }

    /// All that have their credentials; `None`: nothing was looked at yet.
    pub fn all(&self) -> Option<Vec<Known>> {
        let state = self.state.lock();
        // What is built in is always among them.
        (!state.classes.is_empty()).then(|| state.classes.values().flatten().cloned().collect())
    }

    /// Changes whenever the classes may have.
    pub fn looked(&self) -> watch::Receiver<u64> {
        self.looked.subscribe()
    }

    /// Waits until all of these are known, but not for long.
    pub async fn wait_for(&self, names: &BTreeSet<String>, patience: Duration) {
        let mut looked = self.looked.subscribe();
        let known = looked.wait_for(|_| self.pick(names).is_some());
        // Who needs the others goes on; who needs one that is not known is told when it is.
        let _ = tokio::time::timeout(patience, known).await;
    }
}

impl State {
    fn replace(&mut self, classes: BTreeMap<String, Option<v1::StoreClass>>) -> bool {
        let mut before = std::mem::take(&mut self.classes);
        let mut changed = false;
        for (name, message) in classes {
            let known = before.remove(&name);
            let kept = match (&message, &known) {
                (Some(message), Some(Some(known))) => *known.message == *message,
                (None, Some(None)) => true,
                _ => false,
            };
            changed |= !kept;
            let entry = match known {
                Some(known) if kept => known,
                _ => message.map(|message| self.version(message)),
            };
            self.classes.insert(name, entry);
        }
        changed || !before.is_empty()
    }

    fn version(&mut self, message: v1::StoreClass) -> Known {
        self.versions += 1;
        Known {
            message: Arc::new(message),
            version: self.versions,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn redis(name: &str, url: &str) -> (String, Option<v1::StoreClass>) {
        let backend = v1::RedisBackend {
            url: url.to_owned(),
            ..Default::default()
        };
        let class = v1::StoreClass {
            name: name.to_owned(),
            backend: Some(v1::store_class::Backend::Redis(backend)),
            ..Default::default()
        };
        (name.to_owned(), Some(class))
    }

    pub(crate) fn book(
        classes: impl IntoIterator<Item = (String, Option<v1::StoreClass>)>,
    ) -> ClassBook {
        let book = ClassBook::default();
        book.publish(classes.into_iter().collect());
        book
    }

    pub(crate) fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_same_classes_again_are_no_news_and_another_url_is() {
        let book = book([redis("a", "redis://one")]);
        let version = |book: &ClassBook| book.pick(&names(&["a"])).unwrap()[0].version;
        let first = version(&book);
        assert!(!book.publish([redis("a", "redis://one")].into()));
        assert_eq!(version(&book), first);
        assert!(book.publish([redis("a", "redis://two")].into()));
        assert_ne!(version(&book), first);
        assert!(book.publish(BTreeMap::new()));
    }

    #[test]
    fn a_class_without_its_credentials_is_left_out_and_an_unknown_one_waited_for() {
        let book = book([redis("a", "redis://one"), ("b".to_owned(), None)]);
        assert_eq!(book.pick(&names(&["a", "b"])).unwrap().len(), 1);
        assert!(book.pick(&names(&["a", "c"])).is_none());
        book.clear();
        assert!(book.pick(&names(&["a"])).is_none());
    }

    #[tokio::test]
    async fn who_waits_for_a_class_goes_on_when_it_is_known() {
        let book = Arc::new(ClassBook::default());
        let waiter = book.clone();
        let waits = tokio::spawn(async move {
            let wanted = names(&["a"]);
            waiter.wait_for(&wanted, Duration::from_secs(600)).await;
            waiter.pick(&wanted).is_some()
        });
        tokio::task::yield_now().await;
        book.publish([redis("a", "redis://one")].into());
        assert!(waits.await.unwrap());
    }
}
