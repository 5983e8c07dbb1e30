//! SQL databases in SQLite files of this process: one file for each Store, named by its id.
//!
//! Statements run on a few threads of their own, Stores in turn (`turns`). What guests may ask of
//! SQLite is bounded by `policy` (what), `connection` (how much) and `watch` (how long);
//! `memory` bounds what a statement takes. A statement or transaction is synced to the disk before
//! its answer.

mod connection;
mod disk;
mod fault;
mod file;
mod functions;
pub(crate) mod memory;
mod policy;
mod room;
mod run;
mod threads;
mod turns;
mod watch;

use std::{
    fs::{self, File},
    path::Path,
    time::Instant,
};

use async_trait::async_trait;
use tokio::{sync::oneshot, time::timeout_at};

use self::{
    run::Call,
    threads::{Pending, Threads},
    turns::STATEMENT_TIME,
    watch::Caller,
};
use super::{Answer, MAX_STATEMENT_BYTES, Session, SessionState, Sql, SqlError, Statement};
use crate::{
    Health, MAX_BYTES_PER_CALL, Reason, StoreId, StoreLimits,
    embedded::{Durability, OpenError},
};

/// See the module. Dropping it ends what runs and rolls back what is open.
pub struct EmbeddedSql {
    threads: Threads,
}

impl EmbeddedSql {
    /// Keeps databases in `folder`, which is made if it is not there. Blocks on the disk.
    ///
    /// # Errors
    /// The folder cannot be used, or SQLite was used in this process before.
    pub fn open(folder: &Path, durability: Durability) -> Result<Self, OpenError> {
        if !memory::install() {
            return Err(OpenError::Bounds);
        }
        let failed = |error| OpenError::Folder {
            path: folder.to_owned(),
            error,
        };
        let sync = || {
            fs::create_dir_all(folder)?;
            // Its own name has to be durable; those of the files in it are by SQLite's own sync.
            match folder
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty())
            {
                Some(parent) => File::open(parent)?.sync_all(),
                None => Ok(()),
            }
        };
        sync().map_err(failed)?;
        let threads = Threads::start(folder.to_owned(), durability)?;
        Ok(Self { threads })
    }

    /// Whether all its threads are there. One that is gone does not come back in this process.
    pub fn is_alive(&self) -> bool {
        self.threads.are_alive()
    }

    /// How they do, as far as calls and the disk have shown: while all goes well, nothing is written to find out.
    pub async fn health(&self) -> Health {
        match self.is_alive() {
            true => self.threads.disk().health().await,
            false => Health::failing(
                Reason::Unreachable,
                "a thread of the SQL databases has ended: the store pod has to be started again",
            ),
        }
    }

    /// Bytes that the content of a Store's database takes, in whole pages; free pages do not count. 0 where there is
    /// no database.
    ///
    /// # Errors
    /// The database cannot be used.
    pub async fn bytes(&self, store: StoreId) -> Result<u64, SqlError> {
        let files = self.threads.files();
        blocking(move || files.bytes(store)).await
    }

    /// Removes a Store's database, once the statements that run on it have ended. What is waiting or open there is
    /// given up, and nobody can begin anything until it is gone.
    ///
    /// # Errors
    /// A statement does not end, or the disk does not let it go.
    pub async fn remove(&self, store: StoreId) -> Result<(), SqlError> {
        let alone = self.threads.alone();
        blocking(move || alone.with(store, |files| files.remove(store))).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SqlError> + Send + 'static,
) -> Result<T, SqlError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| unavailable("the operation failed"))
}

#[async_trait]
impl Sql for EmbeddedSql {
    async fn execute(
        &self,
        session: &mut Session,
        statement: Statement,
        limits: StoreLimits,
    ) -> Result<Answer, SqlError> {
        check(&statement)?;
        let deadline = Instant::now() + STATEMENT_TIME;
        let caller = Caller::default();
        let _waits = caller.waits();
        let (reply, answer) = oneshot::channel();
        let call = Call {
            session: session.id,
            state: session.state,
            last_insert_rowid: session.last_insert_rowid,
            statement,
            limits,
            deadline,
            caller,
        };
        if !self.threads.push(session.store, Pending { call, reply }) {
            return unavailable("too many statements are waiting");
        }
        // SQLite looks at the clock only now and then: who waits is told in time.
        let (result, is_open) = match timeout_at(deadline.into(), answer).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => return unavailable("it is shutting down"),
            Err(_) => {
                return Err(SqlError::LimitExceeded(format!(
                    "the statement, with what it waited for others, did not end within the limit of {} s",
                    STATEMENT_TIME.as_secs()
                )));
            }
        };
        session.state = match is_open {
            true => SessionState::InTransaction,
            false => SessionState::Idle,
        };
        if let Ok(answer) = &result {
            session.note(answer.effect);
        }
        result
    }

    fn close(&self, session: &Session) {
        self.threads.close(session.store, session.id);
    }
}

fn unavailable<T>(why: &str) -> Result<T, SqlError> {
    Err(SqlError::Unavailable(why.to_owned()))
}

/// Refuses what no call may carry, wherever the database is.
pub(crate) fn check(statement: &Statement) -> Result<(), SqlError> {
    let (text, all) = (statement.text.len(), statement.bytes());
    for (what, bytes, limit) in [
        ("the statement's text has", text, MAX_STATEMENT_BYTES),
        (
            "the statement and its parameters have",
            all,
            MAX_BYTES_PER_CALL,
        ),
    ] {
        if bytes > limit {
            return Err(SqlError::LimitExceeded(format!(
                "{what} {bytes} bytes, which is more than the limit of {limit}"
            )));
        }
    }
    if statement.text.contains('\0') {
        return Err(SqlError::Statement("the statement holds a NUL".into()));
    }
    Ok(())
}
