//! `fermyon:spin/sqlite` without a version: a connection is a number, its place in the instance's table.

use shoal_stores::sql::{Answer, Statement, Value as StoreValue};
use wasmtime::component::{Linker, Resource};

use self::bindings::fermyon::spin::sqlite::{self, Error, QueryResult, RowResult, Value};
use super::{Connection, Failure, SqliteHost, SqliteView, view};
use crate::host::InstanceState;

mod bindings {
    #![allow(missing_docs, reason = "generated; the WIT documents it")]

    wasmtime::component::bindgen!({
        path: "../stores/wit/sqlite",
        world: "spin-sqlite-v1",
        imports: { default: async | trappable },
    });
}

pub(super) fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    sqlite::add_to_linker::<_, SqliteHost>(linker, view)
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::AccessDenied => Self::AccessDenied,
            Failure::InvalidConnection => Self::InvalidConnection,
            Failure::Full => Self::DatabaseFull,
            Failure::Other(message) => Self::Io(message),
        }
    }
}

fn given(value: Value) -> StoreValue {
    match value {
        Value::Integer(value) => StoreValue::Integer(value),
        Value::Real(value) => StoreValue::Real(value),
        Value::Text(value) => StoreValue::Text(value),
        Value::Blob(value) => StoreValue::Blob(value.into()),
        Value::Null => StoreValue::Null,
    }
}

fn found(value: StoreValue) -> Value {
    match value {
        StoreValue::Integer(value) => Value::Integer(value),
        StoreValue::Real(value) => Value::Real(value),
        StoreValue::Text(value) => Value::Text(value),
        StoreValue::Blob(value) => Value::Blob(value.into()),
        StoreValue::Null => Value::Null,
    }
}

fn result(answer: Answer) -> QueryResult {
    let row = |row: Vec<StoreValue>| RowResult {
        values: row.into_iter().map(found).collect(),
    };
    QueryResult {
        columns: answer.columns,
        rows: answer.rows.into_iter().map(row).collect(),
    }
}

type Outcome<T> = wasmtime::Result<Result<T, Error>>;

impl sqlite::Host for SqliteView<'_> {
    async fn open(&mut self, database: String) -> Outcome<u32> {
        match self.operations.open(&database) {
            Ok(connection) => Ok(Ok(self.table.push(connection)?.rep())),
            Err(failure) => Ok(Err(failure.into())),
        }
    }

    async fn execute(
        &mut self,
        connection: u32,
        statement: String,
        parameters: Vec<Value>,
    ) -> Outcome<QueryResult> {
        let connection = Resource::<Connection>::new_borrow(connection);
        let Ok(connection) = self.table.get_mut(&connection) else {
            return Ok(Err(Error::InvalidConnection));
        };
        let statement = Statement {
            text: statement,
            parameters: parameters.into_iter().map(given).collect(),
        };
        let answer = self.operations.execute(connection, statement).await;
        Ok(answer.map(result).map_err(Error::from))
    }

    async fn close(&mut self, connection: u32) -> wasmtime::Result<()> {
        // Closing what is not open is no error.
        let _ = self
            .table
            .delete(Resource::<Connection>::new_own(connection));
        Ok(())
    }
}
