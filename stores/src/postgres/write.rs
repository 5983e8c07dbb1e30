//! Writes: a function each, which is a statement and a transaction by itself.
//!
//! So a write takes one round trip, holds its locks for none, and never waits within a transaction for
//! a node that is gone. The server itself gives up waiting for others before the caller does.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_postgres::{
    Row,
    types::{FromSql, ToSql},
};

use super::{
    fault::{Effect, Fault},
    functions::Function,
    operation::Answer,
    session::{PATIENCE, Session},
    slots::Slots,
    statements::Statements,
};
use crate::{
    StoreId, StoreLimits, Usage,
    quota::{self, Change},
};

/// Before the caller's deadline the server gives up, so that the caller hears of it.
const MARGIN: Duration = Duration::from_millis(300);

type Parameter<'a> = &'a (dyn ToSql + Sync);

/// Writes to one Store on one connection.
pub(crate) struct Writer<'a> {
    pub(crate) session: &'a Session,
    pub(crate) statements: &'a Statements,
    pub(crate) store: StoreId,
    pub(crate) until: Instant,
}

/// What became of a key, or several.
enum Put {
    /// Nothing: it is not as it would have to be.
    Left,
    /// Nothing: another one was faster, and it is to be done in its turn.
    Overtaken,
    Done,
    /// Done, and this is the sum.
    Added(i64),
    /// Nothing: the Store would have grown too large.
    Refused(Answer),
}

impl Writer<'_> {
    pub(crate) async fn set(
        &self,
        pairs: &[(String, Bytes)],
        limits: StoreLimits,
    ) -> Result<Answer, Fault> {
        let slots = Slots::of(pairs.iter().map(|(key, _)| key.as_str()));
        let functions = &self.statements.functions;
        if let [(key, value)] = pairs {
            let (name, content) = (key.as_bytes(), &value[..]);
            let what: [Parameter<'_>; 2] = [&name, &content];
            let put = self.put(&functions.put, &slots, &what, limits).await?;
            if !matches!(put, Put::Overtaken) {
                return done(put);
            }
        }
        let (keys, values): (Vec<&[u8]>, Vec<&[u8]>) = pairs
            .iter()
            .map(|(key, value)| (key.as_bytes(), value.as_ref()))
            .unzip();
        let what: [Parameter<'_>; 2] = [&keys, &values];
        done(self.put(&functions.set, &slots, &what, limits).await?)
    }

    pub(crate) async fn add(
        &self,
        key: &str,
        delta: i64,
        limits: StoreLimits,
    ) -> Result<Answer, Fault> {
        let name = key.as_bytes();
        let what: [Parameter<'_>; 2] = [&name, &delta];
        let add = &self.statements.functions.add;
        match self.put(add, &Slots::of([key]), &what, limits).await? {
            Put::Added(sum) => Ok(Answer::Added(Some(sum))),
            Put::Left => Ok(Answer::Added(None)),
            Put::Refused(refusal) => Ok(refusal),
            Put::Done | Put::Overtaken => Err(Fault::damaged()),
        }
    }

    pub(crate) async fn swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: &[u8],
        limits: StoreLimits,
    ) -> Result<Answer, Fault> {
        let name = key.as_bytes();
        let what: [Parameter<'_>; 3] = [&name, &expected, &value];
        let swap = &self.statements.functions.swap;
        match self.put(swap, &Slots::of([key]), &what, limits).await? {
            Put::Done => Ok(Answer::Swapped(true)),
            Put::Left => Ok(Answer::Swapped(false)),
            Put::Refused(refusal) => Ok(refusal),
            Put::Added(_) | Put::Overtaken => Err(Fault::damaged()),
        }
    }

    pub(crate) async fn delete(&self, keys: &[String]) -> Result<Answer, Fault> {
        let slots = Slots::of(keys.iter().map(String::as_str));
        let names: Vec<&[u8]> = keys.iter().map(String::as_bytes).collect();
        let delete = &self.statements.functions.delete;
        self.call(delete, &slots, &[&names]).await?;
        Ok(Answer::Done)
    }

    pub(crate) async fn purge(&self, after: &[u8]) -> Result<Answer, Fault> {
        let purge = &self.statements.functions.purge;
        let slots = Slots::all().and_gate();
        let row = self.call(purge, &slots, &[&after]).await?;
        Ok(Answer::Purged(answer(&row)?))
    }

    /// Calls a function that may make the Store grow.
    async fn put(
        &self,
        function: &Function,
        slots: &Slots,
        what: &[Parameter<'_>],
        limits: StoreLimits,
    ) -> Result<Put, Fault> {
        let most = |limit: Option<u64>| limit.and_then(|limit| i64::try_from(limit).ok());
        let (keys, bytes) = (most(limits.keys), most(limits.bytes));
        let mut parameters = what.to_vec();
        parameters.push(&keys);
        parameters.push(&bytes);
        let slots = slots.clone().under(limits);
        let row = self.call(function, &slots, &parameters).await?;
        let said: Vec<i64> = answer(&row)?;
        match said.as_slice() {
            [0] => Ok(Put::Left),
            [1] => Ok(Put::Done),
            [2] => Ok(Put::Overtaken),
            [1, sum] => Ok(Put::Added(*sum)),
            [held_keys, held_bytes, keys, bytes] => {
                let held = Usage {
                    keys: held_keys.max(&0).unsigned_abs(),
                    bytes: held_bytes.max(&0).unsigned_abs(),
                };
                let change = Change {
                    keys: *keys,
                    bytes: *bytes,
                };
                let refusal = quota::check(held, change, limits).err();
                Ok(Put::Refused(Answer::Refused(
                    refusal.ok_or_else(Fault::damaged)?,
                )))
            }
            _ => Err(Fault::damaged()),
        }
    }

    /// Calls a function, which has its turn in `slots`; gives the one row that it answers with.
    async fn call(
        &self,
        function: &Function,
        slots: &Slots,
        what: &[Parameter<'_>],
    ) -> Result<Row, Fault> {
        let left = self.until.saturating_duration_since(Instant::now());
        let patience = left.saturating_sub(MARGIN).as_millis().max(1);
        // A session of our own gives up early enough by itself, unless much of the time has passed.
        let is_enough = self.session.is_own() && patience >= u128::from(PATIENCE);
        let patience = (!is_enough).then(|| patience.to_string());
        let slots = slots.list();
        let mut parameters: Vec<Parameter<'_>> = Vec::with_capacity(3 + what.len());
        parameters.push(self.store.uuid());
        parameters.push(&slots);
        parameters.push(&patience);
        parameters.extend_from_slice(what);
        let rows = self
            .session
            .ask(&function.call, &parameters, Effect::Write)
            .await?;
        rows.into_iter().next().ok_or_else(Fault::damaged)
    }
}

/// What a call is told that sets values.
fn done(put: Put) -> Result<Answer, Fault> {
    match put {
        Put::Done => Ok(Answer::Done),
        Put::Refused(refusal) => Ok(refusal),
        Put::Left | Put::Overtaken | Put::Added(_) => Err(Fault::damaged()),
    }
}

fn answer<'a, T: FromSql<'a>>(row: &'a Row) -> Result<T, Fault> {
    row.try_get(0)
        .map_err(|error| Fault::of_statement(&error, Effect::Write))
}
