//! Reads: a statement each, so that each sees one moment of its Store.
//!
//! Where a pooler stands in between, statements are unnamed: it may send the next one to another session.

use std::collections::HashMap;

use bytes::Bytes;
use tokio_postgres::{Error, Row, types::ToSql};

use super::{
    fault::{Effect, Fault},
    operation::Answer,
    session::Session,
    statements::{Query, Statements},
};
use crate::{
    StoreId, Usage,
    key_value::KeyPage,
    limits::{self, MAX_BYTES_PER_CALL, MAX_PAGE_BYTES},
};

/// Reads of one Store on one connection.
pub(crate) struct Reader<'a> {
    pub(crate) session: &'a Session,
    pub(crate) statements: &'a Statements,
    pub(crate) store: StoreId,
}

impl Reader<'_> {
    async fn query(
        &self,
        query: &Query,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Fault> {
        let of_store: &(dyn ToSql + Sync) = self.store.uuid();
        let mut all = Vec::with_capacity(1 + parameters.len());
        all.push(of_store);
        all.extend_from_slice(parameters);
        self.session.ask(query, &all, Effect::Read).await
    }

    pub(crate) async fn get(&self, keys: &[String]) -> Result<Answer, Fault> {
        let [key] = keys else {
            return self.get_many(keys).await;
        };
        let get = if self.session.is_own() {
            &self.statements.get
        } else {
            &self.statements.functions.get.call
        };
        let rows = self.query(get, &[&key.as_bytes()]).await?;
        // A function says of a key that is not there that it holds nothing.
        let value: Option<&[u8]> = match rows.first() {
            Some(row) => row.try_get(0).map_err(failed)?,
            None => None,
        };
        Ok(Answer::Values(vec![value.map(Bytes::copy_from_slice)]))
    }

    async fn get_many(&self, keys: &[String]) -> Result<Answer, Fault> {
        let names: Vec<&[u8]> = keys.iter().map(String::as_bytes).collect();
        let max = i64::try_from(MAX_BYTES_PER_CALL).unwrap_or(i64::MAX);
        let rows = self
            .query(&self.statements.get_many, &[&names, &max])
            .await?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in &rows {
            let sum: i64 = row.try_get(2).map_err(failed)?;
            if let Err(refusal) =
                limits::check_call_bytes(usize::try_from(sum).unwrap_or(usize::MAX))
            {
                return Ok(Answer::Refused(refusal));
            }
            let key: &[u8] = row.try_get(0).map_err(failed)?;
            found.insert(key, bytes_of(row, 1)?);
        }
        let values: Vec<_> = names.iter().map(|key| found.get(key).cloned()).collect();
        // A key that is asked for twice counts twice.
        match limits::check_call_bytes(values.iter().flatten().map(Bytes::len).sum()) {
            Ok(()) => Ok(Answer::Values(values)),
            Err(refusal) => Ok(Answer::Refused(refusal)),
        }
    }

    pub(crate) async fn exists(&self, key: &str) -> Result<Answer, Fault> {
        let exists = &self.statements.exists;
        let rows = self.query(exists, &[&key.as_bytes()]).await?;
        let exists = rows.first().ok_or_else(Fault::damaged)?.try_get(0);
        Ok(Answer::Exists(exists.map_err(failed)?))
    }

    pub(crate) async fn list(&self, after: Option<&str>, limit: u32) -> Result<Answer, Fault> {
        // No key is empty, so that everything comes after it.
        let after = after.unwrap_or_default().as_bytes();
        let one_more = i64::from(limit) + 1;
        let rows = self
            .query(&self.statements.list, &[&after, &one_more])
            .await?;
        let mut page = KeyPage::default();
        let mut bytes = 0;
        for row in &rows {
            let key: &[u8] = row.try_get(0).map_err(failed)?;
            if page.keys.len() as u64 == u64::from(limit) || bytes + key.len() > MAX_PAGE_BYTES {
                page.more = true;
                break;
            }
            bytes += key.len();
            let key = std::str::from_utf8(key).map_err(|_| Fault::damaged())?;
            page.keys.push(key.to_owned());
        }
        Ok(Answer::Page(page))
    }

    pub(crate) async fn usage(&self) -> Result<Answer, Fault> {
        let rows = self.query(&self.statements.usage, &[]).await?;
        let row = rows.first().ok_or_else(Fault::damaged)?;
        let count = |column| -> Result<u64, Fault> {
            let number: i64 = row.try_get(column).map_err(failed)?;
            u64::try_from(number).map_err(|_| Fault::damaged())
        };
        Ok(Answer::Usage(Usage {
            keys: count(0)?,
            bytes: count(1)?,
        }))
    }
}

fn bytes_of(row: &Row, column: usize) -> Result<Bytes, Fault> {
    let value: &[u8] = row.try_get(column).map_err(failed)?;
    Ok(Bytes::copy_from_slice(value))
}

fn failed(error: Error) -> Fault {
    Fault::of_statement(&error, Effect::Read)
}
