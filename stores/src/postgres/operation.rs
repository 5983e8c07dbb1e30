//! One call as data, so that it can be made again and outlive the guest that made it.

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    fault::{Effect, Fault},
    read,
    session::Session,
    statements::Statements,
    write,
};
use crate::{KeyValueError, StoreId, StoreLimits, Usage, key_value::KeyPage};

/// What a caller wants.
#[derive(Debug)]
pub(crate) enum Operation {
    Get(Vec<String>),
    Exists(String),
    List {
        after: Option<String>,
        limit: u32,
    },
    Usage,
    /// Sorted by key, each key once, at least one.
    Set {
        pairs: Vec<(String, Bytes)>,
        limits: StoreLimits,
    },
    /// At least one.
    Delete(Vec<String>),
    /// Deletes some keys after this one, in byte order.
    Purge {
        after: Vec<u8>,
    },
    /// Adds to an integer that is held in its usual form, or is absent.
    Add {
        key: String,
        delta: i64,
        limits: StoreLimits,
    },
    Swap {
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
        limits: StoreLimits,
    },
}

/// What it gave.
#[derive(Debug)]
pub(crate) enum Answer {
    Values(Vec<Option<Bytes>>),
    Exists(bool),
    Page(KeyPage),
    Usage(Usage),
    Done,
    /// The last key that was deleted, if any was.
    Purged(Option<Vec<u8>>),
    /// `None`: nothing was added, to what is there.
    Added(Option<i64>),
    Swapped(bool),
    /// Refused, and nothing changed.
    Refused(KeyValueError),
}

impl Operation {
    pub(crate) fn effect(&self) -> Effect {
        match self {
            Self::Get(_) | Self::Exists(_) | Self::List { .. } | Self::Usage => Effect::Read,
            Self::Set { .. }
            | Self::Delete(_)
            | Self::Purge { .. }
            | Self::Add { .. }
            | Self::Swap { .. } => Effect::Write,
        }
    }

    /// Bytes that it holds while it waits.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Get(keys) | Self::Delete(keys) => keys.iter().map(String::len).sum(),
            Self::Exists(key) | Self::Add { key, .. } => key.len(),
            Self::List { after, .. } => after.as_ref().map_or(0, String::len),
            Self::Usage => 0,
            Self::Purge { after } => after.len(),
            Self::Set { pairs, .. } => pairs
                .iter()
                .map(|(key, value)| key.len() + value.len())
                .sum(),
            Self::Swap {
                key,
                expected,
                value,
                ..
            } => key.len() + value.len() + expected.as_ref().map_or(0, Bytes::len),
        }
    }

    /// Bytes that it wants to write; `None`: it makes nothing larger.
    pub(crate) fn adds(&self) -> Option<u64> {
        match self {
            Self::Set { .. } | Self::Swap { .. } | Self::Add { .. } => Some(self.bytes() as u64),
            Self::Get(_)
            | Self::Exists(_)
            | Self::List { .. }
            | Self::Usage
            | Self::Delete(_)
            | Self::Purge { .. } => None,
        }
    }

    /// Does it on `session`; the server gives a write up shortly before `until`.
    pub(crate) async fn perform(
        &self,
        session: &Session,
        statements: &Statements,
        store: StoreId,
        until: Instant,
    ) -> Result<Answer, Fault> {
        let read = read::Reader {
            session,
            statements,
            store,
        };
        let write = write::Writer {
            session,
            statements,
            store,
            until,
        };
        match self {
            Self::Get(keys) => read.get(keys).await,
            Self::Exists(key) => read.exists(key).await,
            Self::List { after, limit } => read.list(after.as_deref(), *limit).await,
            Self::Usage => read.usage().await,
            Self::Set { pairs, limits } => write.set(pairs, *limits).await,
            Self::Delete(keys) => write.delete(keys).await,
            Self::Purge { after } => write.purge(after).await,
            Self::Add { key, delta, limits } => write.add(key, *delta, *limits).await,
            Self::Swap {
                key,
                expected,
                value,
                limits,
            } => write.swap(key, expected.as_deref(), value, *limits).await,
        }
    }
}
