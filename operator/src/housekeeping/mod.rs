//! What the store pod is told of Stores and classes, and what it says of them.

mod service;
mod session;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

pub use service::HousekeepingService;
use session::Session;

use crate::classes::ClassBook;
use crate::world::World;

/// The streams of store pods, and whether this replica has something to say on them.
pub struct Housekeeping {
    world: Arc<World>,
    classes: Arc<ClassBook>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// While this replica leads.
    epoch: Option<u64>,
    open: HashMap<u64, Open>,
    serial: u64,
}

/// The stream of a store pod.
struct Open {
    pod: Arc<str>,
    session: Arc<Session>,
}

impl Housekeeping {
    /// Nobody is connected yet. `world` knows the Stores, `classes` what is told of their classes.
    pub fn new(world: Arc<World>, classes: Arc<ClassBook>) -> Arc<Self> {
        Arc::new(Self {
            world,
            classes,
            state: Mutex::default(),
        })
    }

    /// This replica leads: every store pod is to be told everything.
    pub fn lead(&self, epoch: u64) {
        let mut state = self.state.lock();
        state.epoch = Some(epoch);
        state.open.values().for_each(|open| open.session.all());
    }

    /// This replica does not lead any more: it tells nobody anything.
    pub fn resign(&self) {
        self.state.lock().epoch = None;
    }

    /// The Stores of these ids are to be told again.
    pub fn changed(&self, ids: &BTreeSet<String>) {
        if !ids.is_empty() {
            let state = self.state.lock();
            state
                .open
                .values()
                .for_each(|open| open.session.changed(ids));
        }
    }

    fn epoch(&self) -> Option<u64> {
        self.state.lock().epoch
    }

    fn open(&self, pod: &Arc<str>) -> (u64, Arc<Session>) {
        let mut state = self.state.lock();
        state.serial += 1;
        let session = Arc::new(Session::default());
        session.all();
        let serial = state.serial;
        let open = Open {
            pod: pod.clone(),
            session: session.clone(),
        };
        state.open.insert(serial, open);
        (serial, session)
    }

    /// The stream ended. Returns whether the pod has no other: it may have come back before the old one was given up.
    fn close(&self, serial: u64) -> bool {
        let mut state = self.state.lock();
        let closed = state.open.remove(&serial);
        closed.is_some_and(|closed| state.open.values().all(|open| open.pod != closed.pod))
    }
}

#[cfg(test)]
mod streams {
    use super::*;

    #[test]
    fn a_pod_that_came_back_is_not_gone_when_its_old_stream_ends() {
        let of = Housekeeping::new(
            Arc::new(World::new(jiff::Timestamp::UNIX_EPOCH)),
            Arc::default(),
        );
        let pod: Arc<str> = "pod".into();
        let (old, _) = of.open(&pod);
        let (new, _) = of.open(&pod);
        of.open(&"another".into());
        assert!(!of.close(old));
        assert!(of.close(new));
        assert!(!of.close(new), "it was closed before");
    }
}
