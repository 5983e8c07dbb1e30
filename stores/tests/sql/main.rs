//! SQL databases in files: what they promise, and what a hostile statement cannot do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod contract;
mod disk_full;
mod hostile;
mod kill;
mod limits;
mod quota;
mod removal;
mod slow;
mod transactions;

use bytes::Bytes;
use shoal_stores::{
    EmbeddedSql, Sql, SqlError, StoreId, StoreLimits,
    embedded::Durability,
    sql::{Answer, Session, Statement, Value},
};

/// Databases in a folder that goes with them. No test of them ends with the machine: none waits for its disk.
pub(crate) struct Databases {
    pub(crate) sql: EmbeddedSql,
    pub(crate) folder: tempfile::TempDir,
}

impl Databases {
    pub(crate) fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sql = EmbeddedSql::open(&folder.path().join("sql"), Durability::Relaxed).unwrap();
        Self { sql, folder }
    }

    /// Closes all files, and opens them again.
    pub(crate) fn reopen(self) -> Self {
        let Self { sql, folder } = self;
        drop(sql);
        let sql = EmbeddedSql::open(&folder.path().join("sql"), Durability::Relaxed).unwrap();
        Self { sql, folder }
    }

    pub(crate) async fn run(&self, session: &mut Session, text: &str) -> Result<Answer, SqlError> {
        self.with(session, text, &[]).await
    }

    pub(crate) async fn with(
        &self,
        session: &mut Session,
        text: &str,
        parameters: &[Value],
    ) -> Result<Answer, SqlError> {
        self.limited(session, text, parameters, StoreLimits::default())
            .await
    }

    pub(crate) async fn limited(
        &self,
        session: &mut Session,
        text: &str,
        parameters: &[Value],
        limits: StoreLimits,
    ) -> Result<Answer, SqlError> {
        let statement = Statement {
            text: text.to_owned(),
            parameters: parameters.to_vec(),
        };
        self.sql.execute(session, statement, limits).await
    }

    /// The one number that a query answers.
    pub(crate) async fn number(&self, session: &mut Session, text: &str) -> i64 {
        let answer = self.run(session, text).await.unwrap();
        match answer.rows[0][0] {
            Value::Integer(number) => number,
            ref other => panic!("{other:?} is no number"),
        }
    }
}

pub(crate) fn session() -> Session {
    Session::new(StoreId::random())
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(crate) fn blob(blob: &'static [u8]) -> Value {
    Value::Blob(Bytes::from_static(blob))
}
