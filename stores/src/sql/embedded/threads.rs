//! The threads that run statements, and the one that ends what is left open.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::{
    connection::Connection,
    disk::Disk,
    fault,
    file::Files,
    room::Rooms,
    run::{self, Call, Done},
    turns::{Bounds, Job, Place, STATEMENT_TIME, TRANSACTION_TIME, Turn, Turns},
};
use crate::{
    StoreId,
    embedded::{Durability, OpenError},
    sql::{Answer, SessionId, SqlError},
};

/// Statements that run at once, the long ones among them.
const THREADS: usize = 16;
const BOUNDS: Bounds = Bounds {
    short: 4,
    running_per_store: 2,
    connections_per_store: 4,
    connections: 128,
    waiting_per_store: 256,
    waiting: 4096,
    waiting_bytes: 32 << 20,
};
/// Connections that nobody used for so long are closed.
const UNUSED: Duration = Duration::from_secs(60);
/// How soon it is noticed that a statement is a long one, or that a transaction's time is over.
const TICK: Duration = Duration::from_millis(50);

/// What a statement gave, and whether a transaction is open then.
pub(super) type Outcome = (Result<Answer, SqlError>, bool);

/// A call, and who waits for its outcome.
pub(super) struct Pending {
    pub(super) call: Call,
    pub(super) reply: oneshot::Sender<Outcome>,
}

impl Job for Pending {
    fn session(&self) -> SessionId {
        self.call.session
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.call.statement.bytes()
    }

    fn is_gone(&self) -> bool {
        self.reply.is_closed()
    }
}

struct Shared {
    turns: Mutex<Turns<Connection, Pending>>,
    changed: Condvar,
    files: Arc<Files>,
    durability: Durability,
    rooms: Rooms,
    disk: Arc<Disk>,
}

/// A way to have a Store alone.
pub(super) struct Alone(Arc<Shared>);

/// See the module.
pub(super) struct Threads {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    pub(super) fn start(folder: PathBuf, durability: Durability) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared {
            turns: Mutex::new(Turns::new(BOUNDS)),
            changed: Condvar::new(),
            disk: Arc::new(Disk::of(&folder)),
            files: Arc::new(Files::of(folder)),
            durability,
            rooms: Rooms::new(),
        });
        let mut threads = Self {
            shared,
            threads: Vec::new(),
        };
        for index in 0..THREADS {
            threads.spawn(format!("sql-{index}"), Shared::work)?;
        }
        threads.spawn("sql-time".to_owned(), Shared::keep_time)?;
        Ok(threads)
    }

    fn spawn(&mut self, name: String, body: fn(&Shared)) -> Result<(), OpenError> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || body(&shared))
            .map_err(OpenError::Thread)?;
        self.threads.push(thread);
        Ok(())
    }

    pub(super) fn are_alive(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }

    /// `false`: there is no room.
    pub(super) fn push(&self, store: StoreId, pending: Pending) -> bool {
        let pushed = self.shared.turns.lock().push(store, pending);
        self.shared.changed.notify_all();
        pushed
    }

    pub(super) fn disk(&self) -> &Arc<Disk> {
        &self.shared.disk
    }

    pub(super) fn files(&self) -> Arc<Files> {
        Arc::clone(&self.shared.files)
    }

    pub(super) fn alone(&self) -> Alone {
        Alone(Arc::clone(&self.shared))
    }

    /// Rolls back what `session` has open.
    pub(super) fn close(&self, store: StoreId, session: SessionId) {
        let abandoned = self.shared.turns.lock().abandoned(store, session);
        drop(abandoned);
        self.shared.changed.notify_all();
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.turns.lock().closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing more to do.
            let _ = thread.join();
        }
    }
}

impl Alone {
    /// Does `work` while nothing runs or is open on a Store. Blocks until what runs has ended.
    ///
    /// # Errors
    /// Those of `work`, and that something does not end.
    pub(super) fn with<T>(
        self,
        store: StoreId,
        work: impl FnOnce(&Files) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let Self(shared) = self;
        let result = match shared.clear(store, Instant::now() + 2 * STATEMENT_TIME) {
            true => work(&shared.files),
            false => Err(SqlError::Unavailable("a statement still runs".into())),
        };
        shared.turns.lock().unbar(store);
        result
    }
}

impl Shared {
    /// Lets nothing more begin on a Store, and waits until nothing is left; `false`: something is at `end`.
    fn clear(&self, store: StoreId, end: Instant) -> bool {
        let mut turns = self.turns.lock();
        loop {
            let left = turns.bar(store);
            let (calls, connections) = &left;
            if !(calls.is_empty() && connections.is_empty()) {
                // Closing a connection may write to its file.
                parking_lot::MutexGuard::unlocked(&mut turns, || drop(left));
                continue;
            }
            if turns.is_clear(store) {
                return true;
            }
            if self.changed.wait_until(&mut turns, end).timed_out() {
                return false;
            }
        }
    }

    fn work(&self) {
        while let Some(turn) = self.next() {
            self.run(turn);
            self.changed.notify_all();
        }
    }

    /// Waits for the next turn; `None` at the end.
    fn next(&self) -> Option<Turn<Connection, Pending>> {
        let mut turns = self.turns.lock();
        loop {
            if turns.closed {
                return None;
            }
            if let Some(turn) = turns.take(Instant::now()) {
                return Some(turn);
            }
            if turns.has_waiting() {
                // One that runs may have become a long one, and make room.
                self.changed.wait_for(&mut turns, TICK);
            } else {
                self.changed.wait(&mut turns);
            }
        }
    }

    fn run(&self, turn: Turn<Connection, Pending>) {
        let Turn {
            store,
            place,
            connection,
            mut job,
            evicted,
            transaction,
        } = turn;
        drop(evicted);
        if let Some(end) = transaction {
            job.call.deadline = job.call.deadline.min(end);
        }
        let connection = match connection {
            Some(connection) => Ok(connection),
            None => self.open(store, place),
        };
        let mut connection = match connection {
            Ok(connection) => connection,
            Err(error) => {
                tracing::error!(%store, %error, "the file of a database cannot be opened");
                self.disk.met(&error);
                self.turns
                    .lock()
                    .finish(store, place, None, None, Instant::now());
                // It fails if the caller is gone.
                let _ = job.reply.send((Err(fault::unavailable(&error)), false));
                return;
            }
        };
        let write = || self.turns.lock().write(store, job.call.session);
        let ran = catch_unwind(AssertUnwindSafe(|| {
            connection.within_memory(|connection| run::run(connection, &job.call, write))
        }));
        let now = Instant::now();
        let (result, good) = match ran {
            Ok(Done::Over(result, good)) => (result, good),
            Ok(Done::HasToWait) => {
                self.turns
                    .lock()
                    .give_back(store, place, connection, job, now);
                return;
            }
            Err(_) => (
                Err(SqlError::Unavailable("the operation failed".into())),
                false,
            ),
        };
        let is_open = good && !connection.sqlite.is_autocommit();
        let keep = good
            && if is_open {
                !job.is_gone()
            } else {
                !connection.is_heavy()
            };
        let end = is_open.then(|| transaction.unwrap_or(now + TRANSACTION_TIME));
        let (kept, closed) = match keep {
            true => (Some(connection), None),
            false => (None, Some(connection)),
        };
        // Before anybody else writes: what is open in it is in their way.
        drop(closed);
        let over = self.turns.lock().finish(store, place, kept, end, now);
        drop(over);
        // It fails if the caller is gone.
        let _ = job.reply.send((result, is_open));
    }

    fn open(&self, store: StoreId, place: Place) -> rusqlite::Result<Connection> {
        let file = self.files.path(store);
        let opened = Connection::open(&file, self.durability, &self.rooms, &self.disk)?;
        self.turns.lock().opened(store, place);
        self.changed.notify_all();
        Ok(opened)
    }

    fn keep_time(&self) {
        let mut turns = self.turns.lock();
        while !turns.closed {
            let now = Instant::now();
            let expired = turns.expired(now, now.checked_sub(UNUSED));
            if !expired.is_empty() {
                // Closing a connection may write to its file.
                parking_lot::MutexGuard::unlocked(&mut turns, || drop(expired));
                self.changed.notify_all();
                continue;
            }
            if turns.has_connections() {
                self.changed.wait_for(&mut turns, TICK);
            } else {
                self.changed.wait(&mut turns);
            }
        }
    }
}
