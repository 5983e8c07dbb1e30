//! One call: its deadline, what it may hold in memory, and when it is made again.

use std::{mem, sync::Arc, time::Duration};

use ::redis::Value;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    call::Call,
    cluster::{Node, Servers, Slot},
    fault::Fault,
    place::Wanted,
};
use crate::{
    Connections, KeyValueError, StoreId,
    gate::{CALLS_PER_STORE, Gate},
};

/// Every call ends by then.
const DEADLINE: Duration = Duration::from_secs(5);
/// Time between two attempts of a call.
const AGAIN: Duration = Duration::from_millis(100);
/// A server that has been away for this long fails calls at once: those who wait would only pile up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Times that a call follows a cluster's word at once; then it waits between.
const REDIRECTIONS: usize = 4;
/// A fault that goes on is logged this often.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// When a call whose connection broke is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It changes nothing.
    Always,
    /// Only if it was not done: doing it twice is another thing, with other writes between.
    Undone,
}

/// See the module.
pub(crate) struct Calls {
    servers: ArcSwap<Servers>,
    pub(crate) wanted: Wanted,
    gate: Gate,
    away_since: Mutex<Option<Instant>>,
    logged: Mutex<Option<Instant>>,
}

/// What a call knows from its attempts.
#[derive(Default)]
struct Attempts {
    count: usize,
    redirections: usize,
    tried_elsewhere: bool,
    /// Who takes the next attempt, and only that.
    asked: Option<Node>,
}

/// What comes after an attempt that failed.
enum Next {
    AtOnce,
    Later,
    Never,
}

impl Calls {
    pub(crate) fn new(servers: Servers, wanted: Wanted) -> Self {
        Self {
            servers: ArcSwap::from_pointee(servers),
            wanted,
            gate: Gate::new(CALLS_PER_STORE),
            away_since: Mutex::new(None),
            logged: Mutex::new(None),
        }
    }

    /// Makes the calls that follow on `servers`; those under way end where they are.
    pub(crate) fn replace(&self, servers: Servers) {
        self.servers.store(Arc::new(servers));
    }

    /// How the connections are used now.
    pub(crate) fn connections(&self) -> Connections {
        self.servers.load().usage()
    }

    /// Makes a call on `store`, again where `repeat` allows and the server is not there.
    pub(crate) async fn run(
        &self,
        repeat: Repeat,
        store: StoreId,
        call: Call,
    ) -> Result<Value, KeyValueError> {
        let deadline = Instant::now() + DEADLINE;
        let turn = timeout_at(deadline, self.gate.pass(store, call.bytes())).await;
        let Ok(Some(_held)) = turn else {
            return Err(KeyValueError::Unavailable(
                "too many calls are waiting".to_owned(),
            ));
        };
        let mut attempts = Attempts::default();
        loop {
            let servers = self.servers.load_full();
            let asked = attempts.asked.take();
            let pool = match &asked {
                Some(node) => servers.at(node),
                None => servers.of(store, attempts.count),
            };
            let whose = (&self.wanted, &*servers);
            let answer = pool.ask(&call, asked.is_some(), whose, deadline);
            let fault = match answer.await {
                Ok(value) => {
                    *self.away_since.lock() = None;
                    return Ok(value);
                }
                Err(fault) => fault,
            };
            match self.next(&fault, repeat, Slot::of(store), &servers, &mut attempts) {
                Next::AtOnce if Instant::now() < deadline => {}
                Next::Later if Instant::now() + AGAIN < deadline => sleep(AGAIN).await,
                _ => {
                    self.log(&fault);
                    return Err(fault.into());
                }
            }
        }
    }

    fn next(
        &self,
        fault: &Fault,
        repeat: Repeat,
        slot: Slot,
        servers: &Arc<Servers>,
        attempts: &mut Attempts,
    ) -> Next {
        attempts.count += 1;
        let later_if = |again| if again { Next::Later } else { Next::Never };
        match fault {
            Fault::Moved(node) | Fault::Asked(node) => {
                if matches!(fault, Fault::Moved(_)) {
                    servers.learn(slot, node.clone());
                } else {
                    attempts.asked = Some(node.clone());
                }
                attempts.redirections += 1;
                if attempts.redirections <= REDIRECTIONS {
                    Next::AtOnce
                } else {
                    Next::Later
                }
            }
            Fault::NotYet(_) => {
                servers.doubt(slot);
                later_if(!self.long_away())
            }
            Fault::Lost => {
                servers.doubt(slot);
                later_if(repeat == Repeat::Always && !self.long_away())
            }
            Fault::Late => {
                servers.doubt(slot);
                Next::Never
            }
            Fault::Elsewhere(_) if !mem::replace(&mut attempts.tried_elsewhere, true) => {
                Next::AtOnce
            }
            // Another URL may have come meanwhile.
            Fault::LockedOut(_) | Fault::Misplaced(_) => {
                later_if(!Arc::ptr_eq(servers, &self.servers.load()))
            }
            Fault::Elsewhere(_) | Fault::Refused(_) => Next::Never,
        }
    }

    fn long_away(&self) -> bool {
        self.away_since
            .lock()
            .get_or_insert_with(Instant::now)
            .elapsed()
            >= PATIENCE
    }

    fn log(&self, fault: &Fault) {
        let mut logged = self.logged.lock();
        if logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            *logged = Some(Instant::now());
            tracing::warn!(reason = fault.reason(), "a Redis server fails calls");
        }
    }
}
