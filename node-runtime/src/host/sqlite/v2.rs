//! `fermyon:spin/sqlite@2.0.0`.

use wasmtime::component::{Linker, Resource};

use self::bindings::fermyon::spin2_0_0::sqlite::{self, Error, QueryResult, RowResult, Value};
use super::{Connection, SqliteHost, SqliteView, values::conversions, view};
use crate::host::InstanceState;

mod bindings {
    #![allow(missing_docs, reason = "generated; the WIT documents it")]

    wasmtime::component::bindgen!({
        path: "../stores/wit/sqlite",
        world: "spin-sqlite",
        imports: { default: async | trappable },
        with: {
            "fermyon:spin/sqlite@2.0.0.connection": crate::host::sqlite::Connection,
        },
    });
}

pub(super) fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    sqlite::add_to_linker::<_, SqliteHost>(linker, view)
}

conversions!();

type Outcome<T> = wasmtime::Result<Result<T, Error>>;

impl sqlite::Host for SqliteView<'_> {}

impl sqlite::HostConnection for SqliteView<'_> {
    async fn open(&mut self, database: String) -> Outcome<Resource<Connection>> {
        match self.open(&database) {
            Ok(connection) => Ok(Ok(self.table.push(connection)?)),
            Err(failure) => Ok(Err(failure.into())),
        }
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Outcome<QueryResult> {
        let connection = self.table.get_mut(&connection)?;
        let statement = self::statement(statement, parameters);
        let answer = self.operations.execute(connection, statement).await;
        Ok(answer.map(result).map_err(Error::from))
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}
