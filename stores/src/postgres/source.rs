//! The connections of one set of options.

use std::{sync::Arc, time::Duration};

use deadpool::{
    Runtime,
    managed::{Hook, HookError, Pool, QueueMode, Timeouts},
};
use parking_lot::Mutex;
use tokio::{
    sync::{OnceCell, OwnedSemaphorePermit},
    time::{Instant, interval, timeout, timeout_at},
};

use super::{
    connector::Connector,
    fault::{Again, Fault},
    lease::Lease,
    opener::Opener,
    operation::{Answer, Operation},
    options::Settings,
    schema,
    session::Session,
    statements::Statements,
};
use crate::{Connections, StoreId, place::Home};

/// Longest wait for a connection to be made, with TLS and passwords.
const MAKE: Duration = Duration::from_secs(3);
/// A connection that was not used for this long is asked whether it still works before a call is put on
/// it: of a write that meets a dead one nobody could say whether it was done.
const CHECK_AFTER: Duration = Duration::from_secs(1);
/// Longest wait for the answer to that.
const CHECK: Duration = Duration::from_secs(1);
/// A connection is given up at this age: sessions of a server gather memory.
const MAX_AGE: Duration = Duration::from_secs(30 * 60);
/// Connections that were not used for this long are closed.
const IDLE: Duration = Duration::from_secs(60);
/// A connection to a place where the data is not is kept for so long: a name may lead elsewhere by then, but it is not
/// asked for each call.
const MISPLACED: Duration = Duration::from_secs(1);
/// Longest try to tell the server that nobody waits any more.
const CANCEL: Duration = Duration::from_secs(2);

/// See the module.
pub(crate) struct Source {
    pool: Pool<Opener>,
    connector: Connector,
    pub(crate) statements: Statements,
    prepared: OnceCell<()>,
}

impl Source {
    /// Must be called within a tokio runtime. Connects with the first call.
    pub(crate) fn new(settings: Settings) -> Option<Self> {
        let opener = Opener::new(settings.config, settings.connector.clone());
        let pool = Pool::builder(opener)
            .max_size(settings.max_connections as usize)
            .runtime(Runtime::Tokio1)
            // The last one used is the next: those that are too many are idle, and closed.
            .queue_mode(QueueMode::Lifo)
            .timeouts(Timeouts {
                wait: None,
                create: Some(MAKE),
                recycle: None,
            })
            .pre_recycle(working_ones())
            .build()
            .ok()?;
        close_when_idle(&pool);
        Some(Self {
            pool,
            connector: settings.connector,
            statements: settings.statements,
            prepared: OnceCell::new(),
        })
    }

    /// Makes one attempt at `operation`. `permit` stands for the connection that it uses.
    pub(crate) async fn attempt(
        &self,
        home: &Home,
        permit: OwnedSemaphorePermit,
        store: StoreId,
        operation: &Operation,
        until: Instant,
    ) -> Result<Answer, Fault> {
        let lease = self.connection(home, until).await?;
        let Some(session) = lease.session() else {
            return Err(Fault::unreachable());
        };
        let work = operation.perform(session, &self.statements, store, until);
        match timeout_at(until, work).await {
            Ok(result) => {
                let fault = result.as_ref().err();
                if fault.is_some_and(|fault| fault.again == Again::Shared) {
                    self.pool.manager().share();
                }
                if fault.is_none_or(|fault| fault.connection_is_well) {
                    lease.give_back();
                }
                result
            }
            Err(_) => {
                self.cancel(lease, permit);
                Err(Fault::late(Some(operation.effect())))
            }
        }
    }

    /// A connection to where the data is, with the tables made if they were not there and may be made.
    pub(crate) async fn connection(&self, home: &Home, until: Instant) -> Result<Lease, Fault> {
        let ready = async {
            let client = self
                .pool
                .get()
                .await
                .map_err(|error| Fault::of_pool(&error))?;
            let lease = self.at_home(Lease::new(client), home).await?;
            if let Some(session) = lease.session() {
                let prepare = async || {
                    let place = schema::prepare(&session.client, &self.statements).await?;
                    home.find(place);
                    Ok::<_, Fault>(())
                };
                self.prepared.get_or_try_init(prepare).await?;
            }
            Ok(lease)
        };
        timeout_at(until, ready)
            .await
            .unwrap_or_else(|_| Err(Fault::unreachable()))
    }

    /// The connection, if it leads to where the data is. Each finds that out once.
    async fn at_home(&self, lease: Lease, home: &Home) -> Result<Lease, Fault> {
        let (Some(session), Some(_)) = (lease.session(), home.recorded()) else {
            return Ok(lease);
        };
        let found = session.place(&self.statements).await?;
        if let Err(misplaced) = home.check(found) {
            if lease.age() < MISPLACED {
                lease.give_back();
            }
            return Err(Fault::misplaced(misplaced));
        }
        Ok(lease)
    }

    /// How its connections are used now.
    pub(crate) fn usage(&self) -> Connections {
        let status = self.pool.status();
        Connections {
            open: status.size,
            busy: status.size.saturating_sub(status.available),
            most: status.max_size,
        }
    }

    /// Closes connections that nobody uses: what ended one may have ended all.
    pub(crate) fn close_idle(&self) {
        self.pool.retain(|_, _| false);
    }

    /// Closes all connections, those in use once their call is done.
    pub(crate) fn close(&self) {
        self.pool.close();
    }

    /// Ends what the server still does for a call that nobody waits for. The connection counts until
    /// then.
    fn cancel(&self, lease: Lease, permit: OwnedSemaphorePermit) {
        let Some(token) = lease.session().map(|session| session.client.cancel_token()) else {
            return;
        };
        let cancel = self.connector.clone().cancel(token);
        tokio::spawn(async move {
            // It fails where the server is out of reach, and its statement with it.
            let _ = timeout(CANCEL, cancel).await;
            drop(lease);
            drop(permit);
        });
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.close();
    }
}

/// Lets only connections that work be used again.
fn working_ones() -> Hook<Opener> {
    // One that no longer answers says the same of all that were last used before it was found out.
    let broken: Arc<Mutex<Option<Instant>>> = Arc::default();
    Hook::async_fn(move |session: &mut Session, metrics| {
        let broken = broken.clone();
        Box::pin(async move {
            let unused = metrics.last_used();
            let suspect = broken.lock().is_some_and(|at| at.elapsed() < unused);
            if suspect || session.client.is_closed() || metrics.age() > MAX_AGE {
                return Err(HookError::message("it is dead or old"));
            }
            if unused > CHECK_AFTER
                && !matches!(
                    timeout(CHECK, session.client.check_connection()).await,
                    Ok(Ok(()))
                )
            {
                *broken.lock() = Some(Instant::now());
                return Err(HookError::message("it does not answer"));
            }
            Ok(())
        })
    })
}

fn close_when_idle(pool: &Pool<Opener>) {
    let weak = pool.weak();
    tokio::spawn(async move {
        let mut tick = interval(IDLE / 4);
        loop {
            tick.tick().await;
            let open = weak.upgrade().filter(|pool| !pool.is_closed());
            let Some(pool) = open else { return };
            pool.retain(|_, metrics| metrics.last_used() < IDLE);
        }
    });
}
