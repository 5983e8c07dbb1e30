//! One statement on one connection.

use std::time::Instant;

use rusqlite::{Error, Rows, Statement as Prepared, types::ValueRef};

use super::{
    connection::{Connection, STATEMENT_MEMORY, value_bytes},
    fault::{self, Bounds},
    policy::Seen,
    room::Growing,
    turns::{STATEMENT_TIME, TRANSACTION_TIME},
    watch::Caller,
};
use crate::{
    StoreLimits,
    sql::{
        Answer, Effect, MAX_ANSWER_BYTES, MAX_ANSWER_ROWS, SessionId, SessionState, SqlError,
        Statement, Value, value::row_bytes,
    },
};

/// What a caller wants done.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) session: SessionId,
    /// As the caller knows it.
    pub(super) state: SessionState,
    /// As the session's owner remembers it.
    pub(super) last_insert_rowid: i64,
    pub(super) statement: Statement,
    pub(super) limits: StoreLimits,
    pub(super) deadline: Instant,
    pub(super) caller: Caller,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Done {
    /// It is over; `bool`: the connection can be used again.
    Over(Result<Answer, SqlError>, bool),
    /// It writes, and somebody else does now: nothing was done.
    HasToWait,
}

/// Does `call`. `write` is asked before anything is written or a transaction begins; `false`: not now.
pub(super) fn run(connection: &mut Connection, call: &Call, write: impl FnOnce() -> bool) -> Done {
    let was_open = !connection.sqlite.is_autocommit();
    if let Some(refusal) = mismatch(connection, call, was_open) {
        return Done::Over(Err(refusal), true);
    }
    // A new connection's are those of a new session.
    let is_new = call.state == SessionState::Fresh && connection.session.is_none();
    let knows_changes = is_new || connection.session == Some(call.session);
    let prepared = connection
        .belong_to(call.session)
        .and_then(|()| connection.limit(call.limits));
    if let Err(error) = prepared {
        return failed(connection, call, was_open, &error, None);
    }
    connection.remember(call.last_insert_rowid);
    connection.watch.start(call.deadline, call.caller.clone());
    connection.policy.guests();
    let result = perform(connection, call, knows_changes, was_open, write);
    let seen = connection.policy.ours();
    connection.watch.stop();
    connection.is_set |= seen.sets;
    match result {
        Ok(Some(answer)) => Done::Over(Ok(answer), true),
        Ok(None) => Done::HasToWait,
        Err(Failure::Refused(refusal)) => {
            let error = with_rollback(connection, was_open, refusal);
            Done::Over(Err(error), true)
        }
        Err(Failure::Sqlite(error)) => failed(connection, call, was_open, &error, seen.refused),
    }
}

/// The caller and the connection have to be of one mind about the transaction: a statement that is
/// meant for one must not be done outside it, nor another one within.
fn mismatch(connection: &Connection, call: &Call, is_open: bool) -> Option<SqlError> {
    let expected = call.state == SessionState::InTransaction;
    if expected == is_open {
        return None;
    }
    if is_open {
        // Without effect if SQLite has rolled back already.
        let _ = connection.sqlite.execute_batch("ROLLBACK");
        return Some(SqlError::RolledBack(
            "the answer to its first statement was lost".into(),
        ));
    }
    Some(SqlError::RolledBack(format!(
        "it is no longer open: it took longer than the limit of {} s, or the store was restarted",
        TRANSACTION_TIME.as_secs()
    )))
}

enum Failure {
    Sqlite(Error),
    Refused(SqlError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

fn perform(
    connection: &Connection,
    call: &Call,
    knows_changes: bool,
    was_open: bool,
    write: impl FnOnce() -> bool,
) -> Result<Option<Answer>, Failure> {
    let sqlite = &connection.sqlite;
    let mut statement = sqlite.prepare(&call.statement.text)?;
    let seen = connection.policy.seen();
    if seen.asks_for_changes && !knows_changes {
        return Err(Failure::Refused(SqlError::Statement(
            "the connection was given to others since its last statement, so that changes() and \
             total_changes() know nothing of it: use RETURNING, or a transaction"
                .into(),
        )));
    }
    if statement.column_count() == 0 && statement.expanded_sql().is_none() {
        // Comments alone.
        return Ok(Some(Answer::default()));
    }
    let effect = || Effect {
        last_insert_rowid: Some(sqlite.last_insert_rowid()),
        changes: seen.is_counted().then(|| sqlite.changes()),
    };
    bind(&mut statement, &call.statement.parameters)?;
    let writes = !statement.readonly() || seen.begins;
    if writes && !was_open && !write() {
        return Ok(None);
    }
    // SQLite keeps what a statement wrote whose rows were not all asked for.
    if !is_undone_with_its_error(&statement, &seen) {
        let mut answer = collect(&mut statement, connection.rooms.start())?;
        drop(statement);
        answer.effect = effect();
        return Ok(Some(answer));
    }
    connection.ours(|sqlite| sqlite.execute_batch("SAVEPOINT shoal"))?;
    let answer = collect(&mut statement, connection.rooms.start());
    drop(statement);
    let end = match answer {
        Ok(_) => "RELEASE shoal",
        Err(_) => "ROLLBACK TO shoal; RELEASE shoal",
    };
    let ended = connection.ours(|sqlite| sqlite.execute_batch(end));
    let mut answer = answer?;
    ended?;
    answer.effect = effect();
    Ok(Some(answer))
}

fn is_undone_with_its_error(statement: &Prepared<'_>, seen: &Seen) -> bool {
    !statement.readonly() && statement.column_count() > 0 && !seen.begins && !seen.pragma
}

fn bind(statement: &mut Prepared<'_>, parameters: &[Value]) -> Result<(), Failure> {
    let (wanted, given) = (statement.parameter_count(), parameters.len());
    if wanted != given {
        return Err(Failure::Refused(SqlError::Statement(format!(
            "the statement has {wanted} parameters; {given} were given"
        ))));
    }
    for (index, value) in (1..).zip(parameters) {
        match value {
            Value::Integer(value) => statement.raw_bind_parameter(index, value),
            Value::Real(value) => statement.raw_bind_parameter(index, value),
            Value::Text(value) => statement.raw_bind_parameter(index, value),
            Value::Blob(value) => statement.raw_bind_parameter(index, &value[..]),
            Value::Null => statement.raw_bind_parameter(index, rusqlite::types::Null),
        }?;
    }
    Ok(())
}

fn collect(statement: &mut Prepared<'_>, mut room: Growing) -> Result<Answer, Failure> {
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let count = columns.len();
    let mut answer = Answer {
        columns,
        ..Answer::default()
    };
    let mut bytes = answer.bytes();
    let mut rows: Rows<'_> = statement.raw_query();
    while let Some(row) = rows.next()? {
        if answer.rows.len() == MAX_ANSWER_ROWS {
            return Err(too_much(MAX_ANSWER_ROWS, "rows"));
        }
        let mut values = Vec::with_capacity(count);
        for index in 0..count {
            let value = row.get_ref(index)?;
            // Before it is copied.
            let content = match value {
                ValueRef::Text(content) | ValueRef::Blob(content) => content.len(),
                _ => 0,
            };
            let then = bytes.saturating_add(content);
            if then > MAX_ANSWER_BYTES {
                return Err(too_much(MAX_ANSWER_BYTES, "bytes"));
            }
            if !room.grow(then) {
                let why = "too many large answers are on their way".to_owned();
                return Err(Failure::Refused(SqlError::Unavailable(why)));
            }
            values.push(own(value, answer.columns.get(index))?);
        }
        bytes += row_bytes(&values);
        answer.rows.push(values);
        if bytes > MAX_ANSWER_BYTES {
            return Err(too_much(MAX_ANSWER_BYTES, "bytes"));
        }
    }
    answer.room = room.done();
    Ok(answer)
}

fn too_much(limit: usize, what: &str) -> Failure {
    Failure::Refused(SqlError::LimitExceeded(format!(
        "the answer has more {what} than the limit of {limit}: ask for less at once (LIMIT)"
    )))
}

fn own(value: ValueRef<'_>, column: Option<&String>) -> Result<Value, Failure> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Integer(value),
        ValueRef::Real(value) => Value::Real(value),
        ValueRef::Blob(value) => Value::Blob(bytes::Bytes::copy_from_slice(value)),
        ValueRef::Text(value) => match std::str::from_utf8(value) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => {
                let column: String = column.map(String::as_str).unwrap_or_default().into();
                return Err(Failure::Refused(SqlError::Statement(format!(
                    "a text in column `{column}` is not UTF-8: cast it to BLOB"
                ))));
            }
        },
    })
}

fn failed(
    connection: &mut Connection,
    call: &Call,
    was_open: bool,
    error: &Error,
    refused: Option<String>,
) -> Done {
    let is_full = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
    let bounds = Bounds {
        seconds: STATEMENT_TIME.as_secs(),
        memory: STATEMENT_MEMORY,
        value_bytes: value_bytes(call.limits),
        is_late: call.caller.is_gone() || Instant::now() >= call.deadline,
        limit_reached: is_full.then(|| connection.limit_reached()).flatten(),
    };
    if bounds.limit_reached.is_none() {
        connection.disk.met(error);
    }
    let said = fault::error(error, refused, bounds);
    if matches!(said, SqlError::Unavailable(_)) {
        tracing::warn!(%error, "a database cannot be used");
    }
    let good = matches!(said, SqlError::Full(_)) || !fault::wants_new_connection(error);
    if !good && was_open {
        // Closing it rolls back.
        let error = SqlError::RolledBack(said.to_string());
        return Done::Over(Err(error), false);
    }
    Done::Over(Err(with_rollback(connection, was_open, said)), good)
}

/// Some errors end the whole transaction, and their caller has to know.
fn with_rollback(connection: &Connection, was_open: bool, error: SqlError) -> SqlError {
    if was_open && connection.sqlite.is_autocommit() {
        return SqlError::RolledBack(error.to_string());
    }
    error
}
