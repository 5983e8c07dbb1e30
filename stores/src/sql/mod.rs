//! SQL databases, as the guest interfaces `fermyon:spin/sqlite` and `spin:sqlite` need them: SQLite's language and its
//! values.
//!
//! A guest's connection is a [`Session`]. Statements outside a transaction are done one by one, each
//! durable when its call returns. `BEGIN` opens a transaction that the session holds across calls; it
//! is bounded in time, and rolled back when that is over, when the session is closed, or when the
//! backend ends. Who did not hear of it hears of it from the next call
//! ([`SqlError::RolledBack`]): no statement meant for a transaction is ever done outside one.

pub mod embedded;
mod session;
mod value;
pub(crate) mod wire;

use async_trait::async_trait;

pub(crate) use self::value::Effect;
pub use self::{
    embedded::EmbeddedSql,
    session::{Session, SessionId, SessionState},
    value::{Answer, Statement, Value},
};
use crate::StoreLimits;

/// Most bytes of a statement's text.
pub const MAX_STATEMENT_BYTES: usize = 256 * 1024;
/// Most bytes of an answer, each value counted with what it takes beside its content.
pub const MAX_ANSWER_BYTES: usize = crate::MAX_BYTES_PER_CALL - 512 * 1024;
/// Most rows of an answer.
pub const MAX_ANSWER_ROWS: usize = 65_536;

/// A backend of SQL databases. One instance serves every Store of its class.
#[async_trait]
pub trait Sql: Send + Sync + 'static {
    /// Does one statement. Of `limits`, `bytes` bounds the database and `value_bytes` a value or row.
    /// What it wrote is durable when this returns `Ok`, unless a transaction is open then.
    async fn execute(
        &self,
        session: &mut Session,
        statement: Statement,
        limits: StoreLimits,
    ) -> Result<Answer, SqlError>;

    /// Rolls back what `session` has open. Returns at once.
    fn close(&self, session: &Session);
}

/// Why a statement was not done. Messages are for guests: they name limits, never hosts, paths or
/// credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// This runtime may not open that Store.
    #[error("access to this database is denied")]
    AccessDenied,
    /// What SQLite has to say about the statement, or why it is not offered.
    #[error("{0}")]
    Statement(String),
    /// A limit of time, memory or size; the text names it.
    #[error("{0}")]
    LimitExceeded(String),
    /// The database holds as many bytes as it may; the text names the limit.
    #[error("{0}")]
    Full(String),
    /// The transaction that was open is no longer; nothing of it was kept.
    #[error("{0}; the transaction was rolled back")]
    RolledBack(String),
    /// The backend cannot serve now (down, disk full, read-only, too slow); the text says which.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
}
