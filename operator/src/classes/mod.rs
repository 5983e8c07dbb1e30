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

/// What looking at a class came to.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// What runtimes are to be told.
    Class(Box<v1::StoreClass>),
    /// Its credentials are not there: nobody is told of it.
    NoCredentials,
    /// Whether they are there cannot be seen now: who knows the class goes on with what it knows.
    Unreadable,
}

enum Entry {
    Known(Known),
    NoCredentials,
    /// And it was not known before either.
    Unreadable,
}

/// Those that somebody needs.
#[derive(Default)]
pub struct Picked {
    /// Those that have their credentials.
    pub known: Vec<Known>,
    /// Names of those of which nothing is known: their credentials cannot be read, or they are too new.
    pub unknown: BTreeSet<String>,
}

impl Picked {
    /// Names and versions of what is known, and names of what is not: the same for the same message.
    pub fn versions(&self) -> (BTreeMap<String, u64>, BTreeSet<String>) {
        let known = self.known.iter();
        let known = known.map(|one| (one.message.name.clone(), one.version));
        (known.collect(), self.unknown.clone())
    }
}

impl From<Picked> for v1::StoreClasses {
    fn from(picked: Picked) -> Self {
        let known = picked.known.iter();
        Self {
            classes: known
                .map(|one| v1::StoreClass::clone(&one.message))
                .collect(),
            keep: picked.unknown.into_iter().collect(),
        }
    }
}

/// What is known of the classes.
#[derive(Default)]
struct State {
    classes: BTreeMap<String, Entry>,
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
    /// These are the classes now. One that is not named is not known (yet). Returns whether anything is new.
    pub(crate) fn publish(&self, classes: BTreeMap<String, Seen>) -> bool {
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

    /// What is known of these classes; `None`: nothing was looked at yet.
    pub fn pick(&self, names: &BTreeSet<String>) -> Option<Picked> {
        self.state.lock().pick(names.iter())
    }

    /// What is known of all of them; `None`: nothing was looked at yet.
    pub fn all(&self) -> Option<Picked> {
        let state = self.state.lock();
        state.pick(state.classes.keys())
    }

    fn looked_at(&self, names: &BTreeSet<String>) -> bool {
        let state = self.state.lock();
        names.iter().all(|name| state.classes.contains_key(name))
    }

    /// Changes whenever the classes may have.
    pub fn looked(&self) -> watch::Receiver<u64> {
        self.looked.subscribe()
    }

    /// Waits until all of these were looked at, but not for long.
    pub async fn wait_for(&self, names: &BTreeSet<String>, patience: Duration) {
        let mut looked = self.looked.subscribe();
        let known = looked.wait_for(|_| self.looked_at(names));
        // Who needs the others goes on; who needs one that is not known is told when it is.
        let _ = tokio::time::timeout(patience, known).await;
    }
}

impl State {
    fn pick<'a>(&self, names: impl Iterator<Item = &'a String>) -> Option<Picked> {
        // What is built in is always among them.
        if self.classes.is_empty() {
            return None;
        }
        let mut picked = Picked::default();
        for name in names {
            match self.classes.get(name) {
                Some(Entry::Known(known)) => picked.known.push(known.clone()),
                Some(Entry::NoCredentials) => {}
                Some(Entry::Unreadable) | None => {
                    picked.unknown.insert(name.clone());
                }
            }
        }
        Some(picked)
    }

    fn replace(&mut self, classes: BTreeMap<String, Seen>) -> bool {
        let mut before = std::mem::take(&mut self.classes);
        let mut changed = false;
        for (name, seen) in classes {
            let (entry, same) = match (seen, before.remove(&name)) {
                (Seen::Class(message), Some(Entry::Known(known))) if *known.message == *message => {
                    (Entry::Known(known), true)
                }
                (Seen::Class(message), _) => (Entry::Known(self.version(*message)), false),
                (Seen::NoCredentials, was) => (
                    Entry::NoCredentials,
                    matches!(was, Some(Entry::NoCredentials)),
                ),
                (Seen::Unreadable, Some(was)) => (was, true),
                (Seen::Unreadable, None) => (Entry::Unreadable, false),
            };
            changed |= !same;
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

    pub(crate) fn redis(name: &str, url: &str) -> (String, Seen) {
        let backend = v1::RedisBackend {
            url: url.to_owned(),
            ..Default::default()
        };
        let class = v1::StoreClass {
            name: name.to_owned(),
            backend: Some(v1::store_class::Backend::Redis(backend)),
            ..Default::default()
        };
        (name.to_owned(), Seen::Class(Box::new(class)))
    }

    pub(crate) fn book(classes: impl IntoIterator<Item = (String, Seen)>) -> ClassBook {
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
        let version = |book: &ClassBook| book.pick(&names(&["a"])).unwrap().known[0].version;
        let first = version(&book);
        assert!(!book.publish([redis("a", "redis://one")].into()));
        assert_eq!(version(&book), first);
        assert!(book.publish([redis("a", "redis://two")].into()));
        assert_ne!(version(&book), first);
        assert!(book.publish(BTreeMap::new()));
    }

    #[test]
    fn a_class_without_its_credentials_is_left_out_and_an_unknown_one_is_named() {
        let book = book([
            redis("a", "redis://one"),
            ("b".to_owned(), Seen::NoCredentials),
        ]);
        let picked = book.pick(&names(&["a", "b", "c"])).unwrap();
        let known: Vec<_> = picked.known.iter().map(|one| &one.message.name).collect();
        assert_eq!(known, ["a"]);
        assert_eq!(picked.unknown, names(&["c"]));
        book.clear();
        assert!(book.pick(&names(&["a"])).is_none());
    }

    #[test]
    fn what_cannot_be_read_any_more_stays_as_it_was() {
        let book = book([
            redis("a", "redis://one"),
            ("b".to_owned(), Seen::Unreadable),
        ]);
        let unreadable = ["a", "b"].map(|name| (name.to_owned(), Seen::Unreadable));
        assert!(!book.publish(unreadable.into()));
        let all = book.all().unwrap();
        assert_eq!(all.known[0].message.name, "a");
        assert_eq!(all.unknown, names(&["b"]));
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
