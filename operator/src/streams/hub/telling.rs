//! What runtimes are told, while this replica leads.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use shoal_plan::{AppRef, Instruction, PodInstruction};
use shoal_protocol::v1::{self, to_runtime::Message};

use super::super::classes::Classes;
use super::{Hub, Session};
use crate::classes::ClassBook;

impl Hub {
    /// This replica leads from now on: every runtime is to be told everything.
    pub fn lead(&self, epoch: u64) {
        let mut state = self.state.lock();
        state.epoch = Some(epoch);
        state.sessions.values_mut().for_each(Session::forget_told);
    }

    /// This replica does not lead any more: it tells nobody anything.
    pub fn resign(&self) {
        self.state.lock().epoch = None;
    }

    /// Runtimes that wait for everything that they are to run.
    pub fn waiting(&self) -> Vec<Arc<str>> {
        let state = self.state.lock();
        if state.epoch.is_none() {
            return Vec::new();
        }
        let waiting = state
            .sessions
            .iter()
            .filter(|(_, session)| session.wants_all());
        waiting.map(|(pod, _)| pod.clone()).collect()
    }

    /// Tells a runtime everything that it is to run.
    pub fn tell_all(&self, pod: &str, all: &shoal_plan::NodeAssignments) {
        let mut state = self.state.lock();
        let (Some(epoch), keys) = (state.epoch, state.code_keys.clone()) else {
            return;
        };
        if let Some(session) = state.sessions.get_mut(pod) {
            let message = session.all(all, keys);
            session.send(epoch, message);
        }
    }

    /// Tells the runtimes what is new to them.
    pub fn instruct(&self, instructions: Vec<PodInstruction>) {
        let mut by_pod: HashMap<Arc<str>, Vec<(AppRef, Instruction)>> = HashMap::new();
        for one in instructions {
            by_pod
                .entry(one.pod)
                .or_default()
                .push((one.app, one.instruction));
        }
        let mut state = self.state.lock();
        let (Some(epoch), keys) = (state.epoch, state.code_keys.clone()) else {
            return;
        };
        for (pod, instructions) in by_pod {
            let Some(session) = state.sessions.get_mut(&pod) else {
                continue;
            };
            if let Some(message) = session.changes(&instructions, keys.clone()) {
                session.send(epoch, message);
            }
        }
    }

    /// Tells runtimes of the classes that they are about to need, before the assignments that need them.
    pub fn tell_classes_before(
        &self,
        wanted: &BTreeMap<Arc<str>, BTreeSet<String>>,
        book: &ClassBook,
    ) {
        self.tell_classes(wanted, |classes, wanted| classes.before(wanted, book));
    }

    /// Tells runtimes of the classes that they need and of no others, after their assignments.
    pub fn tell_classes_after(
        &self,
        wanted: &BTreeMap<Arc<str>, BTreeSet<String>>,
        book: &ClassBook,
    ) {
        self.tell_classes(wanted, |classes, wanted| classes.after(wanted, book));
    }

    fn tell_classes(
        &self,
        wanted: &BTreeMap<Arc<str>, BTreeSet<String>>,
        message: impl Fn(&mut Classes, &BTreeSet<String>) -> Option<Message>,
    ) {
        let mut state = self.state.lock();
        let Some(epoch) = state.epoch else { return };
        for (pod, wanted) in wanted {
            let session = state.sessions.get_mut(pod);
            let Some(session) = session.filter(|one| one.wants_all() || one.follows()) else {
                continue;
            };
            if let Some(message) = message(&mut session.classes, wanted) {
                session.send(epoch, message);
            }
        }
    }

    /// StoreClasses or their credentials changed: whoever knows of them is told.
    pub fn refresh_classes(&self, book: &ClassBook) {
        let mut state = self.state.lock();
        let Some(epoch) = state.epoch else { return };
        let sessions = state.sessions.values_mut();
        for session in sessions.filter(|session| session.follows()) {
            if let Some(message) = session.classes.again(book) {
                session.send(epoch, message);
            }
        }
    }

    /// These keys sign code now.
    pub fn set_code_keys(&self, keys: Vec<Bytes>) {
        let mut state = self.state.lock();
        if state.code_keys == keys {
            return;
        }
        state.code_keys.clone_from(&keys);
        let Some(epoch) = state.epoch else { return };
        for session in state
            .sessions
            .values_mut()
            .filter(|session| session.follows())
        {
            let message = v1::Assignments {
                code_keys: keys.clone(),
                ..Default::default()
            };
            session.send(epoch, Message::Assignments(message));
        }
    }

    /// Tells runtimes that are about to end when nothing sends them requests any more.
    pub fn tell_drained(&self) {
        let draining: Vec<Arc<str>> = {
            let state = self.state.lock();
            let draining = state
                .sessions
                .iter()
                .filter(|(_, s)| s.draining && !s.drained_told);
            draining.map(|(pod, _)| pod.clone()).collect()
        };
        for pod in draining {
            if !self.world.with(|index| index.is_drained(&pod)) {
                continue;
            }
            let mut state = self.state.lock();
            let Some(epoch) = state.epoch else { return };
            if let Some(session) = state.sessions.get_mut(&pod) {
                session.drained_told = true;
                session.send(epoch, Message::Drained(v1::Drained {}));
            }
        }
    }
}
