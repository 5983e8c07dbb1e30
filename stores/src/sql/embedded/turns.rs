//! Who runs next, on which connection: decided without a clock or a file.
//!
//! Stores take turns. Within a Store, calls run side by side on connections of their own, but one
//! session writes at a time: the others wait here and not in SQLite, which would have them fail. A
//! session keeps its connection while nobody else needs it, and for as long as its transaction is open.

mod line;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use crate::{StoreId, sql::SessionId};
use line::{Line, Slot, Where};

pub(super) use line::Place;

/// Longest time of a statement, with what it waits.
pub(super) const STATEMENT_TIME: Duration = Duration::from_secs(5);
/// Longest time of a transaction.
pub(super) const TRANSACTION_TIME: Duration = Duration::from_secs(5);
/// What runs for longer no longer counts as one of the few that may run at once.
const SHORT: Duration = Duration::from_millis(100);

/// How much there may be at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Short statements that run.
    pub(super) short: usize,
    /// Statements of one Store that run.
    pub(super) running_per_store: usize,
    /// Connections of one Store.
    pub(super) connections_per_store: usize,
    /// Connections of all Stores.
    pub(super) connections: usize,
    /// Calls of one Store that wait.
    pub(super) waiting_per_store: usize,
    /// Calls of all Stores that wait.
    pub(super) waiting: usize,
    /// Bytes of all calls that wait.
    pub(super) waiting_bytes: usize,
}

/// A call that waits.
pub(super) trait Job {
    fn session(&self) -> SessionId;
    fn bytes(&self) -> usize;
    /// Nobody waits for it any more.
    fn is_gone(&self) -> bool;
}

/// A call whose turn it is.
pub(super) struct Turn<C, J> {
    pub(super) store: StoreId,
    pub(super) place: Place,
    /// `None`: one is to be opened.
    pub(super) connection: Option<C>,
    pub(super) job: J,
    /// A connection to close first.
    pub(super) evicted: Option<C>,
    /// When the transaction of the session ends, if one is open.
    pub(super) transaction: Option<Instant>,
}

/// See the module. `C`: a connection; `J`: a call.
pub(super) struct Turns<C, J> {
    bounds: Bounds,
    stores: HashMap<StoreId, Line<C, J>>,
    /// Stores with calls that wait, each once.
    order: VecDeque<StoreId>,
    /// Stores on which nothing may begin.
    barred: HashSet<StoreId>,
    running: Vec<(Place, Instant)>,
    connections: usize,
    waiting: usize,
    waiting_bytes: usize,
    next_place: u64,
    pub(super) closed: bool,
}

impl<C, J: Job> Turns<C, J> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            stores: HashMap::new(),
            order: VecDeque::new(),
            barred: HashSet::new(),
            running: Vec::new(),
            connections: 0,
            waiting: 0,
            waiting_bytes: 0,
            next_place: 0,
            closed: false,
        }
    }

    /// Puts a call at the end of its Store's line; `false`: there is no room.
    pub(super) fn push(&mut self, store: StoreId, job: J) -> bool {
        let bytes = job.bytes();
        let full = self.closed
            || self.barred.contains(&store)
            || self.waiting >= self.bounds.waiting
            || self.waiting_bytes.saturating_add(bytes) > self.bounds.waiting_bytes;
        let count = self.stores.get(&store).map_or(0, |line| line.waiting.len());
        if full || count >= self.bounds.waiting_per_store {
            return false;
        }
        if count == 0 {
            self.order.push_back(store);
        }
        self.line(store).waiting.push_back((job, false));
        self.waiting += 1;
        self.waiting_bytes += bytes;
        true
    }

    fn line(&mut self, store: StoreId) -> &mut Line<C, J> {
        self.stores.entry(store).or_default()
    }

    /// From now on nothing begins on this Store. Gives the calls that wait and the connections that nobody uses now;
    /// to be asked again until there are none and it [is clear](Self::is_clear).
    pub(super) fn bar(&mut self, store: StoreId) -> (Vec<J>, Vec<C>) {
        self.barred.insert(store);
        self.order.retain(|waits| *waits != store);
        let Some(line) = self.stores.get_mut(&store) else {
            return (Vec::new(), Vec::new());
        };
        let jobs: Vec<J> = line.waiting.drain(..).map(|(job, _)| job).collect();
        self.waiting -= jobs.len();
        self.waiting_bytes -= jobs.iter().map(Job::bytes).sum::<usize>();
        let unused = line.slots.iter().filter(|slot| slot.connection.is_some());
        let places: Vec<Place> = unused.map(|slot| slot.place).collect();
        let connections = places
            .into_iter()
            .filter_map(|place| self.close(store, place))
            .collect();
        if self.stores.get(&store).is_some_and(Line::is_empty) {
            self.stores.remove(&store);
        }
        (jobs, connections)
    }

    /// Whether nothing waits, runs or is open on this Store.
    pub(super) fn is_clear(&self, store: StoreId) -> bool {
        !self.stores.contains_key(&store)
    }

    /// Calls on this Store may come again.
    pub(super) fn unbar(&mut self, store: StoreId) {
        self.barred.remove(&store);
    }

    /// Whether calls wait.
    pub(super) fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Whether there is anything that time may end.
    pub(super) fn has_connections(&self) -> bool {
        self.connections > 0
    }

    /// The next call that can run, if one can.
    pub(super) fn take(&mut self, now: Instant) -> Option<Turn<C, J>> {
        let short = |(_, start): &&(Place, Instant)| now.duration_since(*start) < SHORT;
        if self.running.iter().filter(short).count() >= self.bounds.short {
            return None;
        }
        for _ in 0..self.order.len() {
            let store = self.order.pop_front()?;
            self.drop_gone(store);
            let turn = self.take_of(store, now);
            if self
                .stores
                .get(&store)
                .is_some_and(|line| !line.waiting.is_empty())
            {
                self.order.push_back(store);
            }
            if turn.is_some() {
                return turn;
            }
        }
        None
    }

    fn drop_gone(&mut self, store: StoreId) {
        let Some(line) = self.stores.get_mut(&store) else {
            return;
        };
        let (waiting, bytes) = (&mut self.waiting, &mut self.waiting_bytes);
        line.waiting.retain(|(job, _)| {
            if job.is_gone() {
                *waiting -= 1;
                *bytes -= job.bytes();
            }
            !job.is_gone()
        });
        if line.is_empty() {
            self.stores.remove(&store);
        }
    }

    fn take_of(&mut self, store: StoreId, now: Instant) -> Option<Turn<C, J>> {
        let line = self.stores.get(&store)?;
        if line.running() >= self.bounds.running_per_store {
            return None;
        }
        let may_open = line.slots.len() < self.bounds.connections_per_store
            && !line.slots.iter().any(|slot| slot.opening);
        let (index, at) = line
            .waiting
            .iter()
            .enumerate()
            .find_map(|(index, (job, writes))| {
                match line.place_for(job.session(), *writes, may_open) {
                    Where::Nowhere => None,
                    found => Some((index, found)),
                }
            })?;
        let mut evicted = None;
        if matches!(at, Where::New) && self.connections >= self.bounds.connections {
            evicted = Some(self.evict()?);
        }
        let line = self.stores.get_mut(&store)?;
        let at = match at {
            Where::Slot(at) => at,
            _ => {
                self.connections += 1;
                self.next_place += 1;
                line.slots.push(Slot {
                    place: Place::new(self.next_place),
                    session: None,
                    connection: None,
                    transaction: None,
                    abandoned: false,
                    opening: true,
                    used: now,
                });
                line.slots.len() - 1
            }
        };
        let (job, _) = line.waiting.remove(index)?;
        self.waiting -= 1;
        self.waiting_bytes -= job.bytes();
        let slot = line.slots.get_mut(at)?;
        slot.session = Some(job.session());
        slot.used = now;
        self.running.push((slot.place, now));
        Some(Turn {
            store,
            place: slot.place,
            connection: slot.connection.take(),
            transaction: slot.transaction,
            job,
            evicted,
        })
    }

    /// Takes the connection of all that has not been used for the longest time.
    fn evict(&mut self) -> Option<C> {
        let idle = self.stores.iter().flat_map(|(store, line)| {
            let idle = line.slots.iter().filter(|slot| slot.is_idle());
            idle.map(|slot| (slot.used, *store, slot.place))
        });
        let (_, store, place) = idle.min_by_key(|(used, ..)| *used)?;
        self.remove(store, place)
    }

    fn remove(&mut self, store: StoreId, place: Place) -> Option<C> {
        let line = self.stores.get_mut(&store)?;
        let at = line.slots.iter().position(|slot| slot.place == place)?;
        let slot = line.slots.swap_remove(at);
        self.connections -= 1;
        if line.is_empty() {
            self.stores.remove(&store);
        }
        slot.connection
    }

    /// The connection of a turn that had none is open.
    pub(super) fn opened(&mut self, store: StoreId, place: Place) {
        if let Some(slot) = self
            .stores
            .get_mut(&store)
            .and_then(|line| line.slot(place))
        {
            slot.opening = false;
        }
    }

    /// Whether `session` may write now; from then on nobody else may, until its turn is over and it
    /// has no transaction open.
    pub(super) fn write(&mut self, store: StoreId, session: SessionId) -> bool {
        let writer = &mut self.line(store).writer;
        *writer.get_or_insert(session) == session
    }

    /// The turn was for nothing: the call writes, and has to wait until nobody else does.
    pub(super) fn give_back(
        &mut self,
        store: StoreId,
        place: Place,
        connection: C,
        job: J,
        now: Instant,
    ) {
        self.waiting += 1;
        self.waiting_bytes += job.bytes();
        let line = self.line(store);
        if line.waiting.is_empty() {
            line.waiting.push_front((job, true));
            self.order.push_front(store);
        } else {
            line.waiting.push_front((job, true));
        }
        self.finish(store, place, Some(connection), None, now);
    }

    /// A turn is over. `None`: the connection was closed. `transaction`: when it ends, if one is open.
    /// Gives a connection that is to be closed.
    pub(super) fn finish(
        &mut self,
        store: StoreId,
        place: Place,
        connection: Option<C>,
        transaction: Option<Instant>,
        now: Instant,
    ) -> Option<C> {
        self.running.retain(|(running, _)| *running != place);
        let line = self.stores.get_mut(&store)?;
        let slot = line.slot(place)?;
        let keep = connection.is_some() && !(slot.abandoned && transaction.is_some());
        slot.connection = connection;
        slot.transaction = transaction;
        (slot.abandoned, slot.opening) = (false, false);
        slot.used = now;
        let session = slot.session;
        if !keep {
            return self.close(store, place);
        }
        if transaction.is_none() && line.writer.is_some() && line.writer == session {
            line.writer = None;
        }
        None
    }

    /// Takes connections whose time is over: those of transactions past their end, and those that
    /// nobody has used since `unused_since`.
    pub(super) fn expired(&mut self, now: Instant, unused_since: Option<Instant>) -> Vec<C> {
        let mut over = Vec::new();
        for (store, line) in &self.stores {
            for slot in line.slots.iter().filter(|slot| slot.connection.is_some()) {
                let ended = slot.transaction.is_some_and(|end| end <= now);
                let unused = slot.is_idle() && unused_since.is_some_and(|since| slot.used <= since);
                if ended || unused {
                    over.push((*store, slot.place));
                }
            }
        }
        over.into_iter()
            .filter_map(|(store, place)| self.close(store, place))
            .collect()
    }

    /// Takes the connection with the transaction of `session`, if it has one that is not in use.
    pub(super) fn abandoned(&mut self, store: StoreId, session: SessionId) -> Option<C> {
        let line = self.stores.get_mut(&store)?;
        let slot = line
            .slots
            .iter_mut()
            .find(|slot| slot.session == Some(session))?;
        if slot.connection.is_none() {
            slot.abandoned = true;
            return None;
        }
        let place = slot.transaction.map(|_| slot.place)?;
        self.close(store, place)
    }

    fn close(&mut self, store: StoreId, place: Place) -> Option<C> {
        let line = self.stores.get_mut(&store)?;
        let session = line.slot(place)?.session;
        if line.writer.is_some() && line.writer == session {
            line.writer = None;
        }
        self.remove(store, place)
    }
}
