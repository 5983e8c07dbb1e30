//! Statements and what they answer.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

/// One value of SQLite's.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `INTEGER`
    Integer(i64),
    /// `REAL`
    Real(f64),
    /// `TEXT`
    Text(String),
    /// `BLOB`
    Blob(Bytes),
    /// `NULL`
    Null,
}

/// What a value takes beside its content, in memory and on its way.
const VALUE_BYTES: usize = size_of::<Value>();

impl Value {
    /// What it counts for in an answer or a call.
    pub fn bytes(&self) -> usize {
        VALUE_BYTES + content(self)
    }
}

fn content(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Blob(blob) => blob.len(),
        Value::Integer(_) | Value::Real(_) | Value::Null => 0,
    }
}

/// One statement and what its parameters are, in order.
#[derive(Clone, PartialEq)]
pub struct Statement {
    /// A single statement of SQLite's language.
    pub text: String,
    /// As many as it has parameters.
    pub parameters: Vec<Value>,
}

impl Statement {
    /// What it holds.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.parameters.iter().map(Value::bytes).sum::<usize>()
    }
}

/// Sizes, never content: it is a tenant's.
impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement")
            .field("text_bytes", &self.text.len())
            .field("parameters", &self.parameters.len())
            .finish()
    }
}

/// What a statement answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows, each with a value for each column.
    pub rows: Vec<Vec<Value>>,
    /// What it left behind in its session.
    pub(crate) effect: Effect,
    /// What it takes of the bound on all answers, until it is sent.
    pub(crate) room: Room,
}

/// What a statement left behind in its session; `None`: what was there before still is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    /// The row of the session's last `INSERT`.
    pub(crate) last_insert_rowid: Option<i64>,
    /// Rows that it changed, if it is of those that are counted.
    pub(crate) changes: Option<u64>,
}

/// Room that is taken until the last clone is gone; none for a small answer. All rooms are equal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room(pub(crate) Option<Arc<OwnedSemaphorePermit>>);

impl PartialEq for Room {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Answer {
    /// What it counts for against [`MAX_ANSWER_BYTES`](super::MAX_ANSWER_BYTES).
    pub fn bytes(&self) -> usize {
        let names: usize = self
            .columns
            .iter()
            .map(|name| VALUE_BYTES + name.len())
            .sum();
        names + self.rows.iter().map(|row| row_bytes(row)).sum::<usize>()
    }
}

/// What a row counts for.
pub(crate) fn row_bytes(row: &[Value]) -> usize {
    VALUE_BYTES + row.iter().map(Value::bytes).sum::<usize>()
}
