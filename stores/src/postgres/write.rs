//! Writes: a transaction each, all of which is sent at once.
//!
//! So a write takes one round trip, holds its locks for none, and never waits within a transaction for
//! a node that is gone. The server itself gives it up before the caller does.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_postgres::{
    Client, Error, Row,
    error::SqlState,
    types::{ToSql, Type},
};

use super::{
    fault::{Effect, Fault},
    operation::Answer,
    slots::Slots,
    statements::Statements,
};
use crate::{
    StoreId, StoreLimits, Usage,
    quota::{self, Change},
};

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

/// What a key is to become, and under which limits of its Store.
struct Put<'a> {
    statement: &'a str,
    slots: Slots,
    /// What the statement calls $2 and $3.
    what: [Parameter<'a>; 2],
    /// $7, where the statement has one.
    expected: Option<Parameter<'a>>,
    limits: StoreLimits,
}

/// What became of it: it was refused, or as many rows as this were set, and what the statement says
/// beside.
type Done = Result<(i64, Option<i64>), Answer>;

impl Writer<'_> {
    pub(crate) async fn set(
        &self,
        pairs: &[(String, Bytes)],
        limits: StoreLimits,
    ) -> Result<Answer, Fault> {
        let (keys, values): (Vec<&[u8]>, Vec<&[u8]>) = pairs
            .iter()
            .map(|(key, value)| (key.as_bytes(), value.as_ref()))
            .unzip();
        let put = Put {
            statement: &self.statements.set,
            slots: Slots::of(pairs.iter().map(|(key, _)| key.as_str())),
            what: [(&keys, Type::BYTEA_ARRAY), (&values, Type::BYTEA_ARRAY)],
            expected: None,
            limits,
        };
        Ok(self
            .put(put)
            .await?
            .map_or_else(|refused| refused, |_| Answer::Done))
    }

    pub(crate) async fn add(
        &self,
        key: &str,
        delta: i64,
        limits: StoreLimits,
    ) -> Result<Answer, Fault> {
        let put = Put {
            statement: &self.statements.add,
            slots: Slots::of([key]),
            what: [(&key.as_bytes(), Type::BYTEA), (&delta, Type::INT8)],
            expected: None,
            limits,
        };
        let done = self.put(put).await?;
        Ok(done.map_or_else(|refused| refused, |(_, sum)| Answer::Added(sum)))
    }

    pub(crate) async fn swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: &[u8],
        limits: StoreLimits,
    ) -> Result<Answer, Fault> {
        let put = Put {
            statement: match expected {
                None => &self.statements.swap_absent,
                Some(_) => &self.statements.swap_present,
            },
            slots: Slots::of([key]),
            what: [(&key.as_bytes(), Type::BYTEA), (&value, Type::BYTEA)],
            expected: expected
                .as_ref()
                .map(|expected| (expected as _, Type::BYTEA)),
            limits,
        };
        let done = self.put(put).await?;
        Ok(done.map_or_else(|refused| refused, |(rows, _)| Answer::Swapped(rows > 0)))
    }

    pub(crate) async fn delete(&self, keys: &[String]) -> Result<Answer, Fault> {
        let slots = Slots::of(keys.iter().map(String::as_str));
        let names: Vec<&[u8]> = keys.iter().map(String::as_bytes).collect();
        let names = (&names as _, Type::BYTEA_ARRAY);
        self.remove(&self.statements.delete, &slots, names).await?;
        Ok(Answer::Done)
    }

    pub(crate) async fn purge(&self, after: &[u8]) -> Result<Answer, Fault> {
        let after = (&after as _, Type::BYTEA);
        let Statements { purge, forget, .. } = self.statements;
        let last = self.remove(purge, &Slots::all(), after).await?;
        if last.is_none() {
            // The counts too, or each Store that ever was would leave its rows.
            self.transaction(forget, &Slots::all().and_gate(), &[])
                .await?;
        }
        Ok(Answer::Purged(last))
    }

    /// Deletes keys, and gives the last that there was.
    async fn remove(
        &self,
        statement: &str,
        slots: &Slots,
        which: Parameter<'_>,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let slot = slots.one();
        let rows = self
            .transaction(statement, slots, &[which, (&slot, Type::INT2)])
            .await?;
        rows.first()
            .map(|row| row.try_get(0))
            .transpose()
            .map_err(|error| Fault::of_statement(&error, Effect::Write))
    }

    async fn put(&self, put: Put<'_>) -> Result<Done, Fault> {
        let slots = put.slots.under(put.limits);
        let slot = slots.one();
        let most = |limit: Option<u64>| {
            let limit = limit.and_then(|limit| i64::try_from(limit).ok());
            limit.unwrap_or(i64::MAX)
        };
        let (keys, bytes) = (most(put.limits.keys), most(put.limits.bytes));
        let [key, value] = put.what;
        let mut parameters = vec![key, value, (&keys, Type::INT8), (&bytes, Type::INT8)];
        parameters.push((&slot, Type::INT2));
        parameters.extend(put.expected);
        let rows = self.transaction(put.statement, &slots, &parameters).await?;
        let row = rows.first().ok_or_else(Fault::damaged)?;
        outcome(row, put.limits).map_err(|error| Fault::of_statement(&error, Effect::Write))
    }

    /// One statement as a transaction, which has its turn in `slots`; gives what it returns.
    async fn transaction(
        &self,
        statement: &str,
        slots: &Slots,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Fault> {
        let of_store: Parameter = (self.store.uuid(), Type::UUID);
        let mut all = vec![of_store];
        all.extend_from_slice(parameters);
        let begin = self.begin(slots);
        // `biased`: they are sent in this order.
        let (begun, rows, ready, committed) = tokio::join!(
            biased;
            self.client.batch_execute(&begin),
            self.client.query_typed(statement, &all),
            self.client.batch_execute(BEFORE_COMMIT),
            self.client.batch_execute(COMMIT),
        );
        rows.and_then(|rows| ready.and(committed).map(|()| rows))
            .map_err(|error| failed(&error, begun))
    }

    /// Begins a transaction that the server ends by itself: a statement that takes too long, or a wait
    /// for the rest of what a node sends.
    fn begin(&self, slots: &Slots) -> String {
        let left = self.until.saturating_duration_since(Instant::now());
        let left = left.saturating_sub(MARGIN).as_millis().max(1);
        let lock = self.statements.lock(self.store, slots);
        format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED;
             SET LOCAL statement_timeout = {left};
             SET LOCAL idle_in_transaction_session_timeout = 5000;
             {lock}"
        )
    }
}

/// What the statement of a put says of it.
fn outcome(row: &Row, limits: StoreLimits) -> Result<Done, Error> {
    let unsigned = |count: i64| count.max(0).unsigned_abs();
    let held = Usage {
        keys: unsigned(row.try_get(0)?),
        bytes: unsigned(row.try_get(1)?),
    };
    let change = Change {
        keys: row.try_get(2)?,
        bytes: row.try_get(3)?,
    };
    Ok(match quota::check(held, change, limits) {
        Ok(()) => Ok((row.try_get(4)?, row.try_get(5)?)),
        Err(refusal) => Err(Answer::Refused(refusal)),
    })
}

/// What the first failure after the beginning of a transaction means.
fn failed(error: &Error, begun: Result<(), Error>) -> Fault {
    match begun {
        Ok(()) => Fault::of_statement(error, Effect::Write),
        // It began, and failed before its statement, which was then refused.
        Err(first) if error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION) => {
            Fault::of_statement(&first, Effect::Write)
        }
        // It did not begin: its statement was none of a transaction, and may have been done.
        Err(_) => Fault::of_statement(error, Effect::Write).of_unknown_outcome(),
    }
}
