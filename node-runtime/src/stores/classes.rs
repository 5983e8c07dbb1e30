//! All classes of the node.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use shoal_stores::{Backend, Blobs, KeyValueError, Sql, SqlError};
use tokio::{
    runtime::Handle,
    sync::{broadcast, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    Class, Notices,
    backend::BuiltIn,
    description::{ClassBackend, ClassDescription},
    health::{Board, ClassHealth},
    notices::Notice,
};

/// A guest waits for so long until its class is known: an operator tells of classes before it assigns
/// what needs them, but a file or a replica may be late.
const WAIT: Duration = Duration::from_secs(2);
/// A class that nobody needs any more is kept for so long: apps come back, and others drain.
const KEEP: Duration = Duration::from_secs(60);
/// Classes at once.
const MOST: usize = 1000;

/// See the module. The class `embedded` is always there, with the default limits unless it is described.
pub struct StoreClasses {
    built_in: BuiltIn,
    sql: Arc<dyn Sql>,
    known: ArcSwap<HashMap<String, Arc<Class>>>,
    /// Which classes are needed no more, and since when. Held while `known` is changed.
    unneeded: Mutex<HashMap<String, Instant>>,
    changed: watch::Sender<()>,
    board: Board,
    notices: Notices,
    /// Where guests run, once they do.
    guests: ArcSwapOption<Handle>,
}

impl StoreClasses {
    /// The class `embedded` alone. Its data is in `embedded`, that of its SQL databases in `sql`, its
    /// objects are in `blobs`, and the data of
    /// classes of backend `memory` in `memory`. Must be called within a tokio runtime.
    pub fn new(
        embedded: Arc<dyn Backend>,
        memory: Arc<dyn Backend>,
        sql: Arc<dyn Sql>,
        blobs: Arc<dyn Blobs>,
    ) -> Arc<Self> {
        let classes = Arc::new(Self {
            built_in: BuiltIn {
                embedded,
                memory,
                blobs,
            },
            sql,
            known: ArcSwap::default(),
            unneeded: Mutex::default(),
            changed: watch::Sender::new(()),
            board: Board::default(),
            notices: Notices::default(),
            guests: ArcSwapOption::empty(),
        });
        classes.replace(Vec::new());
        classes
    }

    /// Guests run on `threads`. Connections of the classes to come are served there as well: an answer
    /// then wakes no other thread than that of the guest who waits for it.
    pub(crate) fn serve(&self, threads: Handle) {
        self.guests.store(Some(Arc::new(threads)));
    }

    /// From now on these are the classes. Those that are as before go on; those that differ in how their
    /// data is reached use the new way from the next call on, while calls under way end in the old one;
    /// those that are missing are closed after a minute. Must be called within a tokio runtime.
    pub fn replace(self: &Arc<Self>, mut described: Vec<ClassDescription>) {
        described.truncate(MOST);
        let built_in = shoal_crds::EMBEDDED_CLASS;
        if described.iter().all(|class| class.name != built_in) {
            described.push(ClassDescription::new(built_in, ClassBackend::Embedded));
        }
        let threads = self.guests.load_full();
        let threads = threads.map_or_else(Handle::current, |guests| Handle::clone(&guests));
        let mut unneeded = self.unneeded.lock();
        let mut known = HashMap::clone(&self.known.load());
        let now = Instant::now();
        let needed: HashSet<&str> = described.iter().map(|class| class.name.as_str()).collect();
        let before = unneeded.len();
        for name in known.keys().filter(|name| !needed.contains(name.as_str())) {
            unneeded.entry(name.clone()).or_insert(now);
        }
        let newly_unneeded = unneeded.len() > before;
        for description in described {
            unneeded.remove(&description.name);
            let class = known.get(&description.name);
            if class.is_some_and(|class| class.become_like(&description)) {
                continue;
            }
            let name = description.name.clone();
            if let Some(other) = known.remove(&name) {
                other.retire();
            }
            let board = self.board.clone();
            let class = Class::start(description, &self.built_in, board, &threads);
            known.insert(name, class);
        }
        self.known.store(Arc::new(known));
        drop(unneeded);
        self.changed.send_replace(());
        if newly_unneeded {
            tokio::spawn(close_unneeded(Arc::downgrade(self)));
        }
    }

    /// How the classes do, as it changes.
    pub fn health(&self) -> watch::Receiver<ClassHealth> {
        self.board.follow()
    }

    /// What owners of apps are told, from now on.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.reader()
    }

    pub(crate) fn owners(&self) -> &Notices {
        &self.notices
    }

    /// Every class, in the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<Class>> {
        let mut all: Vec<_> = self.known.load().values().cloned().collect();
        all.sort_unstable_by(|one, other| one.name().cmp(other.name()));
        all
    }

    /// The class of a name. Waits a moment for one that is not known yet.
    ///
    /// # Errors
    /// It is still not known.
    pub(crate) async fn find(&self, name: &str) -> Result<Arc<Class>, KeyValueError> {
        if let Some(class) = self.get(name) {
            return Ok(class);
        }
        let mut changed = self.changed.subscribe();
        let appears = async {
            loop {
                if let Some(class) = self.get(name) {
                    return class;
                }
                // Its sender is as old as `self`.
                let _ = changed.changed().await;
            }
        };
        timeout(WAIT, appears).await.map_err(|_| {
            KeyValueError::Unavailable(format!("this node knows no class `{name}` (yet)"))
        })
    }

    /// Where the SQL databases of a class are.
    ///
    /// # Errors
    /// The class is of a backend that has none.
    pub(crate) fn sql(&self, class: &Class) -> Result<Arc<dyn Sql>, SqlError> {
        if class.is_embedded() {
            return Ok(Arc::clone(&self.sql));
        }
        let name = class.name();
        Err(SqlError::Unavailable(format!(
            "its class `{name}` has no SQL databases: only backend `embedded` has"
        )))
    }

    fn get(&self, name: &str) -> Option<Arc<Class>> {
        self.known.load().get(name).cloned()
    }

    /// Closes classes that have not been needed for long.
    fn close(&self, now: Instant) {
        let mut unneeded = self.unneeded.lock();
        let mut known = HashMap::clone(&self.known.load());
        unneeded.retain(|name, since| {
            let stays = now.saturating_duration_since(*since) < KEEP;
            if !stays && let Some(class) = known.remove(name) {
                class.retire();
                self.board.remove(name);
            }
            stays
        });
        self.known.store(Arc::new(known));
    }
}

async fn close_unneeded(classes: Weak<StoreClasses>) {
    sleep(KEEP).await;
    if let Some(classes) = classes.upgrade() {
        classes.close(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use shoal_stores::{
        EmbeddedBlobs, EmbeddedSql, Memory, embedded::Durability, memory::MemoryOptions,
    };

    use super::*;

    fn classes() -> Arc<StoreClasses> {
        let memory = || Arc::new(Memory::new(MemoryOptions::default()));
        // No database of it is opened.
        let folder = tempfile::tempdir().unwrap();
        let sql = EmbeddedSql::open(folder.path(), Durability::Full).unwrap();
        let blobs = EmbeddedBlobs::open(&folder.path().join("blobs"), Durability::Full).unwrap();
        StoreClasses::new(memory(), memory(), Arc::new(sql), Arc::new(blobs))
    }

    fn described(name: &str) -> ClassDescription {
        ClassDescription::new(name, ClassBackend::Memory)
    }

    fn names(classes: &StoreClasses) -> Vec<String> {
        let all = classes.all();
        all.iter().map(|class| class.name().to_owned()).collect()
    }

    #[tokio::test]
    async fn a_class_that_is_needed_no_more_is_closed_after_a_while_and_embedded_never() {
        let classes = classes();
        classes.replace(vec![described("a"), described("b")]);
        classes.replace(vec![described("b")]);
        let now = Instant::now();
        classes.close(now);
        assert_eq!(names(&classes), ["a", "b", "embedded"], "apps come back");
        classes.close(now + KEEP);
        assert_eq!(names(&classes), ["b", "embedded"]);
        classes.replace(Vec::new());
        classes.close(now + KEEP + KEEP);
        assert_eq!(names(&classes), ["embedded"]);
        assert!(
            classes
                .health()
                .borrow()
                .keys()
                .all(|name| name == "embedded")
        );
    }

    #[tokio::test]
    async fn a_class_that_came_back_in_time_was_never_closed() {
        let classes = classes();
        classes.replace(vec![described("a")]);
        let before = classes.find("a").await.unwrap();
        classes.replace(Vec::new());
        classes.replace(vec![described("a")]);
        classes.close(Instant::now() + KEEP);
        assert!(Arc::ptr_eq(&before, &classes.find("a").await.unwrap()));
    }

    #[tokio::test]
    async fn other_bounds_leave_a_class_as_it_is_and_another_place_makes_another() {
        let classes = classes();
        classes.replace(vec![described("a")]);
        let before = classes.find("a").await.unwrap();
        let mut bounded = described("a");
        bounded.limits.keys = Some(1);
        classes.replace(vec![bounded]);
        assert_eq!(before.limits().keys, Some(1));
        assert!(Arc::ptr_eq(&before, &classes.find("a").await.unwrap()));
        let moved = ClassDescription::new("a", ClassBackend::Embedded);
        classes.replace(vec![moved]);
        assert!(!Arc::ptr_eq(&before, &classes.find("a").await.unwrap()));
    }

    #[tokio::test]
    async fn of_two_descriptions_of_one_class_the_last_counts() {
        let classes = classes();
        let mut last = described("a");
        last.limits.keys = Some(7);
        classes.replace(vec![described("a"), last]);
        assert_eq!(classes.find("a").await.unwrap().limits().keys, Some(7));
    }
}
