//! The connections to one server, under one set of credentials.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ::redis::Value;
use parking_lot::Mutex;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::{
    call::Call,
    cluster::Servers,
    connection::Connection,
    fault::{Fault, LATE},
    options::Server,
    place::Wanted,
};
use crate::Connections;

/// After a connection that could not be opened, no other is tried for this long.
const AGAIN: Duration = Duration::from_millis(100);

/// See the module. Connections are opened as calls need them. Dropping it closes each when the calls on
/// it have ended.
pub(crate) struct Pool {
    server: Server,
    slots: Vec<Slot>,
    /// One for each connection that may exist; an open one holds it until its socket is closed.
    permits: Arc<Semaphore>,
    failed: Mutex<Option<(Instant, Fault)>>,
}

/// A place for one connection.
#[derive(Default)]
struct Slot {
    /// Weight of the calls that chose it.
    load: AtomicUsize,
    connection: Mutex<Option<Arc<Connection>>>,
    opening: tokio::sync::Mutex<()>,
}

impl Pool {
    pub(crate) fn new(server: Server, max_connections: usize) -> Self {
        Self {
            server,
            slots: (0..max_connections).map(|_| Slot::default()).collect(),
            permits: Arc::new(Semaphore::new(max_connections)),
            failed: Mutex::new(None),
        }
    }

    /// How its connections are used now.
    pub(crate) fn usage(&self) -> Connections {
        let loads = self.slots.iter().map(|slot| &slot.load);
        Connections {
            open: self
                .slots
                .len()
                .saturating_sub(self.permits.available_permits()),
            busy: loads
                .filter(|load| load.load(Ordering::Relaxed) > 0)
                .count(),
            most: self.slots.len(),
        }
    }

    /// A connection, for something small.
    pub(crate) async fn any(&self, deadline: Instant) -> Result<Arc<Connection>, Fault> {
        let chosen = self.choose(1)?;
        self.connection(chosen.slot, deadline).await
    }

    /// Makes `call` on the connection with the least to do, if it leads to the place that is `wanted` of all `servers`.
    ///
    /// `moving`: the server is about to have the Store, and must be told that we know.
    pub(crate) async fn ask(
        &self,
        call: &Call,
        moving: bool,
        (wanted, servers): (&Wanted, &Servers),
        deadline: Instant,
    ) -> Result<Value, Fault> {
        let chosen = self.choose(call.weight())?;
        let connection = self.connection(chosen.slot, deadline).await?;
        wanted.prove(&connection, servers, deadline).await?;
        let answer = connection.perform(call, moving, deadline).await;
        if let Err(Fault::Elsewhere(_)) = answer {
            // The others lead to the same server.
            self.slots
                .iter()
                .filter_map(Slot::open)
                .for_each(|open| open.retire());
        }
        answer
    }

    /// The slot with the least to do. Of those with nothing to do the first, so that a few calls share
    /// few connections.
    fn choose(&self, weight: usize) -> Result<Chosen<'_>, Fault> {
        let least = self
            .slots
            .iter()
            .min_by_key(|slot| slot.load.load(Ordering::Relaxed));
        let slot = least.ok_or(Fault::Refused("it is not configured"))?;
        slot.load.fetch_add(weight, Ordering::Relaxed);
        Ok(Chosen { slot, weight })
    }

    async fn connection(&self, slot: &Slot, deadline: Instant) -> Result<Arc<Connection>, Fault> {
        if let Some(open) = slot.open() {
            return Ok(open);
        }
        match self.open(slot, deadline).await {
            Ok(open) => Ok(open),
            // One more is not to be had (too many clients, new credentials that are not known yet), but
            // those that are there may do.
            Err(fault) => self.slots.iter().find_map(Slot::open).ok_or(fault),
        }
    }

    async fn open(&self, slot: &Slot, deadline: Instant) -> Result<Arc<Connection>, Fault> {
        // Why there was none while it waited says more than that there was no time for another try.
        let began = Instant::now();
        let late = |_| match &*self.failed.lock() {
            Some((at, fault)) if *at + AGAIN >= began => fault.clone(),
            _ => Fault::NotYet(LATE),
        };
        let _turn = timeout_at(deadline, slot.opening.lock())
            .await
            .map_err(late)?;
        if let Some(open) = slot.open() {
            return Ok(open);
        }
        if let Some((at, fault)) = &*self.failed.lock()
            && at.elapsed() < AGAIN
        {
            return Err(fault.clone());
        }
        // The permit that is waited for may be the closed one's own.
        *slot.connection.lock() = None;
        let opened = timeout_at(deadline, async {
            let permit = self.permits.clone().acquire_owned().await;
            let permit = permit.map_err(|_| Fault::Refused("it is shutting down"))?;
            Connection::open(&self.server, permit).await
        });
        match opened.await.map_err(late)? {
            Ok(connection) => {
                let connection = Arc::new(connection);
                *slot.connection.lock() = Some(connection.clone());
                *self.failed.lock() = None;
                Ok(connection)
            }
            Err(fault) => {
                *self.failed.lock() = Some((Instant::now(), fault.clone()));
                Err(fault)
            }
        }
    }
}

impl Slot {
    /// Its connection, if that takes calls.
    fn open(&self) -> Option<Arc<Connection>> {
        self.connection
            .lock()
            .clone()
            .filter(|open| !open.is_closed())
    }
}

/// A call's share of a slot's load.
struct Chosen<'a> {
    slot: &'a Slot,
    weight: usize,
}

impl Drop for Chosen<'_> {
    fn drop(&mut self) {
        self.slot.load.fetch_sub(self.weight, Ordering::Relaxed);
    }
}
