//! Writes: a transaction each, all of which is sent at once.
//!
//! So a write takes one round trip, holds its locks for none, and never waits within a transaction for
//! a node that is gone. The server itself gives it up before the caller does.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::{
    Client, Error, Row,
    types::{ToSql, Type},
};

use super::{
    fault::{Effect, Fault},
    operation::Answer,
    statements::Statements,
};
use crate::StoreId;

/// Before the caller's deadline the server gives up, so that the caller hears of it.
const MARGIN: Duration = Duration::from_millis(300);
/// A commit may wait for other servers: given up, it would be done here and not there, and be
/// acknowledged all the same.
const BEFORE_COMMIT: &str = "SET LOCAL statement_timeout = 0";
const COMMIT: &str = "COMMIT";

type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Writes to one Store on one connection.
pub(crate) struct Writer<'a> {
    pub(crate) client: &'a Client,
    pub(crate) statements: &'a Statements,
    pub(crate) store: StoreId,
    pub(crate) until: Instant,
}

impl Writer<'_> {
    pub(crate) async fn set(&self, pairs: &[(String, bytes::Bytes)]) -> Result<Answer, Fault> {
        if let [(key, value)] = pairs {
            let (key, value) = (key.as_bytes(), value.as_ref());
            let parameters: [Parameter; 2] = [(&key, Type::BYTEA), (&value, Type::BYTEA)];
            self.execute(&self.statements.set_one, &parameters).await?;
        } else {
            let (keys, values): (Vec<&[u8]>, Vec<&[u8]>) = pairs
                .iter()
                .map(|(key, value)| (key.as_bytes(), value.as_ref()))
                .unzip();
            let parameters: [Parameter; 2] =
                [(&keys, Type::BYTEA_ARRAY), (&values, Type::BYTEA_ARRAY)];
            self.execute(&self.statements.set_many, &parameters).await?;
        }
        Ok(Answer::Done)
    }

    pub(crate) async fn delete(&self, keys: &[String]) -> Result<Answer, Fault> {
        if let [key] = keys {
            let key = key.as_bytes();
            self.execute(&self.statements.delete_one, &[(&key, Type::BYTEA)])
                .await?;
            return Ok(Answer::Done);
        }
        // A statement sees the moment at which it begins. It is the second that deletes: what another
        // call sets as a whole while the first waits for it is then seen as a whole, and deleted.
        let names: Vec<&[u8]> = keys.iter().map(String::as_bytes).collect();
        let of_store: Parameter = (self.store.uuid(), Type::UUID);
        let parameters = [of_store, (&names, Type::BYTEA_ARRAY)];
        let begin = self.begin();
        let (begin, locked, deleted, ready, committed) = tokio::join!(
            biased;
            self.client.batch_execute(&begin),
            self.client.execute_typed(&self.statements.lock_many, &parameters),
            self.client.execute_typed(&self.statements.delete_many, &parameters),
            self.client.batch_execute(BEFORE_COMMIT),
            self.client.batch_execute(COMMIT),
        );
        locked
            .and(deleted)
            .and_then(|_| ready.and(committed))
            .map_err(|error| failed(&error, begin))?;
        Ok(Answer::Done)
    }

    pub(crate) async fn purge(&self, after: &[u8]) -> Result<Answer, Fault> {
        let rows = self
            .query(&self.statements.purge, &[(&after, Type::BYTEA)])
            .await?;
        let keys: Result<Vec<Vec<u8>>, Error> = rows.iter().map(|row| row.try_get(0)).collect();
        match keys {
            Ok(keys) => Ok(Answer::Purged(keys.into_iter().max())),
            Err(error) => Err(Fault::of_statement(&error, Effect::Write)),
        }
    }

    pub(crate) async fn add(&self, key: &str, delta: i64) -> Result<Answer, Fault> {
        let key = key.as_bytes();
        let parameters: [Parameter; 2] = [(&key, Type::BYTEA), (&delta, Type::INT8)];
        let rows = self.query(&self.statements.add, &parameters).await?;
        match rows.first().map(|row| row.try_get(0)).transpose() {
            Ok(sum) => Ok(Answer::Added(sum)),
            Err(error) => Err(Fault::of_statement(&error, Effect::Write)),
        }
    }

    pub(crate) async fn swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: &[u8],
    ) -> Result<Answer, Fault> {
        let key = key.as_bytes();
        let mut parameters: Vec<Parameter> = vec![(&key, Type::BYTEA), (&value, Type::BYTEA)];
        let changed = match &expected {
            None => {
                self.execute(&self.statements.swap_absent, &parameters)
                    .await?
            }
            Some(expected) => {
                parameters.push((expected, Type::BYTEA));
                self.execute(&self.statements.swap_present, &parameters)
                    .await?
            }
        };
        Ok(Answer::Swapped(changed > 0))
    }

    /// One statement as a transaction; gives the rows that it changed.
    async fn execute(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<u64, Fault> {
        let of_store: Parameter = (self.store.uuid(), Type::UUID);
        let mut all = vec![of_store];
        all.extend_from_slice(parameters);
        let begin = self.begin();
        // `biased`: they are sent in this order.
        let (begin, changed, ready, committed) = tokio::join!(
            biased;
            self.client.batch_execute(&begin),
            self.client.execute_typed(statement, &all),
            self.client.batch_execute(BEFORE_COMMIT),
            self.client.batch_execute(COMMIT),
        );
        changed
            .and_then(|changed| ready.and(committed).map(|()| changed))
            .map_err(|error| failed(&error, begin))
    }

    /// As `execute`; gives what the statement returns.
    async fn query(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Fault> {
        let of_store: Parameter = (self.store.uuid(), Type::UUID);
        let mut all = vec![of_store];
        all.extend_from_slice(parameters);
        let begin = self.begin();
        let (begin, rows, ready, committed) = tokio::join!(
            biased;
            self.client.batch_execute(&begin),
            self.client.query_typed(statement, &all),
            self.client.batch_execute(BEFORE_COMMIT),
            self.client.batch_execute(COMMIT),
        );
        rows.and_then(|rows| ready.and(committed).map(|()| rows))
            .map_err(|error| failed(&error, begin))
    }

    /// Begins a transaction that the server ends by itself: a statement that takes too long, or a wait
    /// for the rest of what a node sends.
    fn begin(&self) -> String {
        let left = self.until.saturating_duration_since(Instant::now());
        let left = left.saturating_sub(MARGIN).as_millis().max(1);
        format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED;
             SET LOCAL statement_timeout = {left};
             SET LOCAL idle_in_transaction_session_timeout = 5000"
        )
    }
}

/// What the first failure of a transaction means. Where it did not begin, its statement was none of a
/// transaction, and what became of it is not known.
fn failed(error: &Error, begin: Result<(), Error>) -> Fault {
    match begin {
        Ok(()) => Fault::of_statement(error, Effect::Write),
        Err(_) => Fault::of_statement(error, Effect::Write).of_unknown_outcome(),
    }
}
