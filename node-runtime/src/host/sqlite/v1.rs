//! `fermyon:spin/sqlite` without a version: a connection is a number, its place in the instance's table.

use wasmtime::component::{Linker, Resource};

use self::bindings::fermyon::spin::sqlite::{self, Error, QueryResult, RowResult, Value};
use super::{Connection, SqliteHost, SqliteView, values::conversions, view};
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

conversions!();

type Outcome<T> = wasmtime::Result<Result<T, Error>>;

impl sqlite::Host for SqliteView<'_> {
    async fn open(&mut self, database: String) -> Outcome<u32> {
        match self.open(&database) {
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
        let statement = self::statement(statement, parameters);
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
