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
    open: HashMap<u64, Arc<Session>>,
    serial: u64,
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
        state.open.values().for_each(|session| session.all());
    }

    /// This replica does not lead any more: it tells nobody anything.
    pub fn resign(&self) {
        self.state.lock().epoch = None;
    }

    /// The Stores of these ids are to be told again.
    pub fn changed(&self, ids: &BTreeSet<String>) {
        if !ids.is_empty() {
            let state = self.state.lock();
            state.open.values().for_each(|session| session.changed(ids));
        }
    }

    fn epoch(&self) -> Option<u64> {
        self.state.lock().epoch
    }

    fn open(&self) -> (u64, Arc<Session>) {
        let mut state = self.state.lock();
        state.serial += 1;
        let session = Arc::new(Session::default());
        session.all();
        let serial = state.serial;
        state.open.insert(serial, session.clone());
        (serial, session)
    }

    fn close(&self, serial: u64) {
        self.state.lock().open.remove(&serial);
    }
}
