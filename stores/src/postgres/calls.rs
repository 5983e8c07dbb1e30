//! One call: its deadline, what it may hold in memory, and when it is made again.

use std::{sync::Arc, time::Duration};

use parking_lot::RwLock;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout_at},
};

use super::{
    fault::{Again, Fault},
    finish::Finish,
    health::Health,
    operation::{Answer, Operation},
    options::Settings,
    source::Source,
};
use crate::{Connections, KeyValueError, StoreId, gate::Gate, place::Home};

/// Every call ends by then.
const DEADLINE: Duration = Duration::from_secs(5);
/// Time before a call is made again, doubled each time up to the longest.
const AGAIN: Duration = Duration::from_millis(50);
const AGAIN_LONGEST: Duration = Duration::from_millis(800);

/// When a call that begins now must have ended.
pub(crate) fn deadline() -> Instant {
    Instant::now() + DEADLINE
}

/// See the module.
pub(crate) struct Calls {
    source: RwLock<Arc<Source>>,
    pub(crate) home: Home,
    /// A permit for each connection that may be in use, whichever options it was made with.
    connections: Arc<Semaphore>,
    /// Permits that there are, held while options change.
    changing: Mutex<u32>,
    gate: Gate,
    health: Health,
}

impl Calls {
    pub(crate) fn new(source: Source, max_connections: u32, home: Home) -> Self {
        Self {
            source: RwLock::new(Arc::new(source)),
            home,
            connections: Arc::new(Semaphore::new(max_connections as usize)),
            changing: Mutex::new(max_connections),
            gate: Gate::new(share(max_connections)),
            health: Health::default(),
        }
    }

    fn source(&self) -> Arc<Source> {
        self.source.read().clone()
    }

    /// How the connections are used now.
    pub(crate) fn connections(&self) -> Connections {
        self.source().usage()
    }

    /// Does `operation`, by `until`. Once it waits for nobody it goes on though its caller is gone: a
    /// connection is never left in the midst of something.
    pub(crate) async fn run(
        self: &Arc<Self>,
        store: StoreId,
        operation: Operation,
        until: Instant,
    ) -> Result<Answer, KeyValueError> {
        let wait = self.gate.pass(store, operation.bytes());
        let Ok(Some(held)) = timeout_at(until, wait).await else {
            return Err(Fault::late(None).for_guests());
        };
        let calls = self.clone();
        let call = Finish::new(async move {
            let result = calls.repeat(store, &operation, until).await;
            drop(held);
            result
        });
        match call.await {
            Ok(Answer::Refused(refusal)) => Err(refusal),
            Ok(answer) => Ok(answer),
            Err(fault) => Err(fault.for_guests()),
        }
    }

    /// Makes a call, again where that is sure to do it once.
    async fn repeat(
        &self,
        store: StoreId,
        operation: &Operation,
        until: Instant,
    ) -> Result<Answer, Fault> {
        let mut pause = AGAIN;
        let mut had_new_connection = false;
        let mut before: Option<Fault> = None;
        loop {
            if !self.health.may_try() {
                return Err(Fault::away());
            }
            let permit = self.permit(until).await?;
            let source = self.source();
            let fault = match source
                .attempt(&self.home, permit, store, operation, until)
                .await
            {
                Ok(answer) => {
                    self.health.reached();
                    return Ok(answer);
                }
                Err(fault) => fault.or_if_silent(before.as_ref()),
            };
            before = Some(fault.clone());
            // Options changed in between: the next attempt uses those of now.
            if fault.again == Again::AtOnce {
                continue;
            }
            let may_wait = self.health.failed(&source.statements.prefix, &fault);
            let renew = match fault.again {
                Again::OnNewConnection | Again::Shared => !had_new_connection,
                Again::Elsewhere => !had_new_connection && self.health.may_renew(),
                _ => false,
            };
            if renew {
                had_new_connection = true;
                source.close_idle();
                continue;
            }
            let wait = match fault.again {
                Again::Later => true,
                Again::WhenReached => may_wait,
                _ => false,
            };
            if !wait {
                return Err(fault);
            }
            if timeout_at(until, sleep(pause)).await.is_err() {
                return Err(fault);
            }
            pause = (pause * 2).min(AGAIN_LONGEST);
        }
    }

    async fn permit(&self, until: Instant) -> Result<OwnedSemaphorePermit, Fault> {
        match timeout_at(until, self.connections.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Fault::late(None)),
        }
    }

    /// Takes `settings` for the calls to come, once a connection of theirs works. Calls under way, and
    /// all calls if it fails, use the old ones.
    pub(crate) async fn change(&self, settings: Settings, until: Instant) -> Result<(), Fault> {
        let mut permits = self.changing.lock().await;
        let wanted = settings.max_connections;
        let next = Source::new(settings).ok_or_else(|| Fault::late(None))?;
        // One connection less of the old makes room for one of the new.
        let permit = self.permit(until).await?;
        let old = self.source();
        old.close_idle();
        let client = next.connection(&self.home, until).await?;
        // Fewer connections than before: those that are too many are no longer handed out.
        let fewer = permits.saturating_sub(wanted);
        let surplus = self.connections.clone().acquire_many_owned(fewer);
        match timeout_at(until, surplus).await {
            Ok(Ok(surplus)) => surplus.forget(),
            _ => return Err(Fault::late(None)),
        }
        client.give_back();
        *self.source.write() = Arc::new(next);
        old.close();
        self.connections
            .add_permits(wanted.saturating_sub(*permits) as usize);
        self.gate.change(share(wanted));
        *permits = wanted;
        drop(permit);
        Ok(())
    }
}

/// How many of the connections the calls of one Store may take: three quarters, and at least one.
fn share(connections: u32) -> u32 {
    (connections - connections.div_ceil(4)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_leaves_connections_to_others_where_there_are_some() {
        let shares = [1, 2, 3, 4, 10, 1000].map(share);
        assert_eq!(shares, [1, 1, 2, 3, 7, 750]);
    }
}
