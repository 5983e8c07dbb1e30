//! How statements, answers and errors look between runtime and `shoal-store`.

use shoal_protocol::v1;
use tonic::{Code, Status};

use super::{Answer, Effect, SessionId, SessionState, SqlError, Value};
use crate::wire::{for_guests, is_answer};

impl From<SqlError> for Status {
    fn from(error: SqlError) -> Self {
        let (code, message) = match error {
            SqlError::AccessDenied => (
                Code::PermissionDenied,
                "access to this database is denied".to_owned(),
            ),
            SqlError::Statement(message) => (Code::InvalidArgument, message),
            SqlError::LimitExceeded(message) => (Code::ResourceExhausted, message),
            SqlError::Full(message) => (Code::OutOfRange, message),
            SqlError::RolledBack(message) => (Code::Aborted, message),
            SqlError::Unavailable(reason) => (Code::Unavailable, reason),
        };
        for_guests(code, message)
    }
}

/// What a status means to a guest.
pub(crate) fn error(status: &Status) -> SqlError {
    let message = || status.message().to_owned();
    match status.code() {
        Code::PermissionDenied => SqlError::AccessDenied,
        Code::InvalidArgument if is_answer(status) => SqlError::Statement(message()),
        Code::ResourceExhausted if is_answer(status) => SqlError::LimitExceeded(message()),
        Code::OutOfRange if is_answer(status) => SqlError::Full(message()),
        Code::Aborted if is_answer(status) => SqlError::RolledBack(message()),
        Code::Unavailable if is_answer(status) => SqlError::Unavailable(message()),
        _ => SqlError::Unavailable("it cannot be reached".to_owned()),
    }
}

pub(crate) fn session(bytes: &[u8]) -> Result<SessionId, Status> {
    SessionId::from_slice(bytes)
        .ok_or_else(|| Status::invalid_argument("`session` is to be of 16 bytes"))
}

pub(crate) fn state(state: v1::SessionState) -> Result<SessionState, Status> {
    match state {
        v1::SessionState::Fresh => Ok(SessionState::Fresh),
        v1::SessionState::Idle => Ok(SessionState::Idle),
        v1::SessionState::InTransaction => Ok(SessionState::InTransaction),
        v1::SessionState::Unspecified => Err(Status::invalid_argument(
            "`state` is none that this version knows",
        )),
    }
}

pub(crate) fn state_to_wire(state: SessionState) -> v1::SessionState {
    match state {
        SessionState::Fresh => v1::SessionState::Fresh,
        SessionState::Idle => v1::SessionState::Idle,
        SessionState::InTransaction => v1::SessionState::InTransaction,
    }
}

pub(crate) fn value(value: v1::SqlValue) -> Value {
    match value.value {
        None => Value::Null,
        Some(v1::sql_value::Value::Integer(value)) => Value::Integer(value),
        Some(v1::sql_value::Value::Real(value)) => Value::Real(value),
        Some(v1::sql_value::Value::Text(value)) => Value::Text(value),
        Some(v1::sql_value::Value::Blob(value)) => Value::Blob(value),
    }
}

pub(crate) fn value_to_wire(value: Value) -> v1::SqlValue {
    let value = match value {
        Value::Null => None,
        Value::Integer(value) => Some(v1::sql_value::Value::Integer(value)),
        Value::Real(value) => Some(v1::sql_value::Value::Real(value)),
        Value::Text(value) => Some(v1::sql_value::Value::Text(value)),
        Value::Blob(value) => Some(v1::sql_value::Value::Blob(value)),
    };
    v1::SqlValue { value }
}

pub(crate) fn response(answer: Answer, in_transaction: bool) -> v1::ExecuteResponse {
    let row = |row: Vec<Value>| v1::SqlRow {
        values: row.into_iter().map(value_to_wire).collect(),
    };
    v1::ExecuteResponse {
        columns: answer.columns,
        rows: answer.rows.into_iter().map(row).collect(),
        in_transaction,
        last_insert_rowid: answer.effect.last_insert_rowid,
        changes: answer.effect.changes,
    }
}

/// `None`: a row has another number of values than there are columns.
pub(crate) fn answer(response: v1::ExecuteResponse) -> Option<Answer> {
    let columns = response.columns.len();
    if response.rows.iter().any(|row| row.values.len() != columns) {
        return None;
    }
    let row = |row: v1::SqlRow| row.values.into_iter().map(value).collect();
    Some(Answer {
        columns: response.columns,
        rows: response.rows.into_iter().map(row).collect(),
        effect: Effect {
            last_insert_rowid: response.last_insert_rowid,
            changes: response.changes,
        },
        ..Answer::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_values_arrive_as_they_were_sent() {
        for sent in [
            SqlError::AccessDenied,
            SqlError::Statement("no such table: t".into()),
            SqlError::LimitExceeded("5 s".into()),
            SqlError::Full("1 MiB".into()),
            SqlError::RolledBack("too long".into()),
            SqlError::Unavailable("the disk is full".into()),
        ] {
            assert_eq!(error(&sent.clone().into()), sent);
        }
        let foreign = Status::unavailable("tcp connect error: 10.0.0.7:9443");
        assert_eq!(
            error(&foreign),
            SqlError::Unavailable("it cannot be reached".into())
        );
        for sent in [
            Value::Null,
            Value::Integer(i64::MIN),
            Value::Real(-0.0),
            Value::Text(String::new()),
            Value::Blob(bytes::Bytes::from_static(&[0])),
        ] {
            assert_eq!(value(value_to_wire(sent.clone())), sent);
        }
    }

    #[test]
    fn a_row_with_too_few_values_is_no_answer() {
        let row = v1::SqlRow { values: Vec::new() };
        let response = v1::ExecuteResponse {
            columns: vec!["a".into()],
            rows: vec![row],
            ..v1::ExecuteResponse::default()
        };
        assert_eq!(answer(response), None);
    }
}
