//! All runtimes that are connected, and what becomes of those that are not any more.

mod telling;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;
use shoal_protocol::v1::{self, to_runtime::Message};
use tracing::{info, warn};

use super::absence::Absence;
use super::probe;
use super::session::{Outgoing, Session};
use super::silence::{Verdict, is_frozen};
use crate::metrics::Metrics;
use crate::world::World;

const TICK: Duration = Duration::from_millis(250);

/// The runtimes' streams.
pub struct Hub {
    world: Arc<World>,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// While this replica leads.
    epoch: Option<u64>,
    code_keys: Vec<Bytes>,
    sessions: HashMap<Arc<str>, Session>,
    absence: Absence,
    serial: u64,
}

impl State {
    fn connected(&self) -> usize {
        self.sessions
            .values()
            .filter(|session| session.outgoing.is_some())
            .count()
    }

    fn silent(&self, now: Instant) -> usize {
        let silent = self
            .sessions
            .values()
            .filter(|one| one.signs.is_silent(now));
        silent.count()
    }
}

impl Hub {
    /// Nobody is connected yet.
    pub fn new(world: Arc<World>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            world,
            metrics,
            state: Mutex::default(),
        })
    }

    /// A runtime's stream began; an earlier one of the same pod is given up. Returns what tells them apart.
    pub(super) fn open(&self, pod: &str, node: &str, outgoing: Outgoing) -> u64 {
        let mut state = self.state.lock();
        state.serial += 1;
        let serial = state.serial;
        let (leader, epoch) = (state.epoch.is_some(), state.epoch.unwrap_or(0));
        let mut session = Session::new(node.to_owned(), serial, outgoing, Instant::now());
        let version = shoal_protocol::PROTOCOL_VERSION;
        session.send(
            epoch,
            Message::Welcome(v1::Welcome {
                protocol_version: version,
                leader,
            }),
        );
        state.sessions.insert(pod.into(), session);
        self.count(&state);
        serial
    }

    /// Whether this is still the pod's stream.
    pub(super) fn is_current(&self, pod: &str, serial: u64) -> bool {
        let state = self.state.lock();
        state
            .sessions
            .get(pod)
            .is_some_and(|one| one.serial == serial && one.outgoing.is_some())
    }

    /// Whether the runtime has sent its full report on this stream.
    pub(super) fn has_reported(&self, pod: &str, serial: u64) -> bool {
        let state = self.state.lock();
        state
            .sessions
            .get(pod)
            .is_some_and(|one| one.serial == serial && one.reported)
    }

    /// The runtime said something.
    pub(super) fn hear(&self, pod: &str, serial: u64, note: impl FnOnce(&mut Session)) {
        let mut state = self.state.lock();
        if let Some(session) = state
            .sessions
            .get_mut(pod)
            .filter(|one| one.serial == serial)
        {
            session.signs.hear(Instant::now());
            note(session);
        }
    }

    /// The stream ended: whether the runtime lives is asked at once.
    pub(super) fn close(self: &Arc<Self>, pod: &Arc<str>, serial: u64) {
        {
            let mut state = self.state.lock();
            let Some(session) = state
                .sessions
                .get_mut(pod)
                .filter(|one| one.serial == serial)
            else {
                return;
            };
            session.outgoing = None;
            session.signs.open = false;
            session.signs.asked = None;
            session.forget_told();
            self.count(&state);
        }
        self.judge_all();
    }

    /// Watches over the runtimes, for as long as it is polled.
    pub async fn watch(self: &Arc<Self>, alive: impl Fn()) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            alive();
            self.judge_all();
            self.look_for_absent();
        }
    }

    /// Asks runtimes that were never heard whether they live, and gives up those that do not.
    fn look_for_absent(self: &Arc<Self>) {
        let wall = Timestamp::now();
        let unheard = self.world.with(|index| {
            if wall < index.settled_at() {
                return Vec::new();
            }
            index.unheard_pods(wall)
        });
        let now = Instant::now();
        let (lost, ask) = {
            let state = &mut *self.state.lock();
            let absent = unheard
                .into_iter()
                .filter(|pod| !state.sessions.contains_key(pod))
                .collect::<Vec<_>>();
            let ask = state.absence.look(&absent, now);
            let silent = state.silent(now);
            let lost = state.absence.lost(silent, self.world.pod_count(), now);
            (lost, ask)
        };
        for pod in lost {
            info!(
                pod = &*pod,
                "a runtime was never heard and does not answer: it is lost"
            );
            self.world.change(|index| index.runtime_lost(&pod));
        }
        for pod in ask {
            let (hub, addresses) = (
                self.clone(),
                self.world.pod(&pod).unwrap_or_default().addresses,
            );
            tokio::spawn(async move {
                let outcome = probe::ask(&addresses).await;
                hub.state.lock().absence.answered(&pod, outcome);
            });
        }
    }

    fn judge_all(self: &Arc<Self>) {
        let now = Instant::now();
        let (mut lost, mut ask) = (Vec::new(), Vec::new());
        {
            let mut state = self.state.lock();
            let silent = state.silent(now);
            let frozen = is_frozen(silent, state.sessions.len());
            for (pod, session) in &mut state.sessions {
                let held = frozen && !self.world.node_is_unready(&session.node);
                match session.signs.judge(now, held) {
                    Verdict::Alive => {}
                    Verdict::Lost => lost.push(pod.clone()),
                    Verdict::Ask if session.asking => {}
                    Verdict::Ask => {
                        session.asking = true;
                        ask.push((pod.clone(), session.serial));
                    }
                }
            }
            for pod in &lost {
                state.sessions.remove(pod);
            }
            self.count(&state);
        }
        for pod in lost {
            info!(pod = &*pod, "a runtime is lost");
            self.world.change(|index| index.runtime_lost(&pod));
        }
        for (pod, serial) in ask {
            tokio::spawn(self.clone().ask(pod, serial));
        }
    }

    async fn ask(self: Arc<Self>, pod: Arc<str>, serial: u64) {
        let addresses = self.world.pod(&pod).unwrap_or_default().addresses;
        let outcome = if addresses.is_empty() {
            // The pod object is gone, and what is left of the pod goes with it.
            super::silence::Outcome::Refused
        } else {
            probe::ask(&addresses).await
        };
        {
            let mut state = self.state.lock();
            let Some(session) = state
                .sessions
                .get_mut(&pod)
                .filter(|one| one.serial == serial)
            else {
                return;
            };
            session.signs.asked = Some((outcome, Instant::now()));
        }
        self.judge_all();
        // Not at once again: a pod that answers is asked a few times a second.
        tokio::time::sleep(TICK * 2).await;
        let mut state = self.state.lock();
        if let Some(session) = state
            .sessions
            .get_mut(&pod)
            .filter(|one| one.serial == serial)
        {
            session.asking = false;
        }
    }

    /// Gives up every stream: this process ends, and the runtimes have other replicas.
    pub fn close_all(&self) {
        let mut state = self.state.lock();
        if !state.sessions.is_empty() {
            warn!(streams = state.connected(), "closing the runtimes' streams");
        }
        state.sessions.clear();
    }

    fn count(&self, state: &State) {
        self.metrics
            .streams
            .set(i64::try_from(state.connected()).unwrap_or(i64::MAX));
    }
}
