//! `spin:sqlite@3.1.0`, which serves guests of 3.0.0 as well: a guest may have many calls under way at once,
//! each with a share of its app's memory of its own. Those of one connection are done one after the other.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    vec,
};

use shoal_stores::sql::{Answer, Statement, Value as StoreValue};
use tokio::sync::Mutex;
use wasmtime::{
    AsContextMut as _, StoreContextMut,
    component::{
        Access, Accessor, Destination, FutureReader, Linker, Resource, StreamProducer,
        StreamReader, StreamResult, VecBuffer,
    },
};

use self::bindings::spin::sqlite::sqlite::{self, Error, QueryResult, RowResult, Value};
use super::{Connection, Failure, Operations, SqliteHost, SqliteView, values::conversions, view};
use crate::{app::Component, engine::MemoryLimiter, host::InstanceState, stores::StoreClasses};

mod bindings {
    #![allow(missing_docs, reason = "generated; the WIT documents it")]

    wasmtime::component::bindgen!({
        path: "../stores/wit/sqlite",
        world: "spin-sqlite-v3",
        imports: { default: async | store | trappable },
        with: {
            "spin:sqlite/sqlite.connection": super::Shared,
        },
    });
}

/// Rows are given to the guest in batches of so many bytes, and of one row at least.
const BATCH_BYTES: usize = 64 << 10;

/// A connection that calls which run beside each other take in turn. It is closed when the guest has
/// dropped it and the last of them is over.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Connection>>);

pub(super) fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    sqlite::add_to_linker::<_, SqliteHost>(linker, view)
}

conversions!();

type Outcome<T> = wasmtime::Result<Result<T, Error>>;
type Rows = (
    Vec<String>,
    StreamReader<RowResult>,
    FutureReader<Result<(), Error>>,
);
/// Of a call that runs beside others.
type Store = Accessor<InstanceState, SqliteHost>;
/// Of a call that nothing runs beside.
type Alone<'a> = Access<'a, InstanceState, SqliteHost>;

/// A call that runs beside others: it holds what it needs of the instance, and pays for what passes.
struct Call {
    component: Arc<Component>,
    classes: Arc<StoreClasses>,
    limiter: MemoryLimiter,
    connection: Shared,
}

impl Call {
    fn beside(store: &Store, connection: &Resource<Shared>) -> wasmtime::Result<Self> {
        store.with(|mut store| Self::start(&store.get(), connection))
    }

    fn start(view: &SqliteView<'_>, connection: &Resource<Shared>) -> wasmtime::Result<Self> {
        Ok(Self {
            connection: view.table.get(connection)?.clone(),
            component: Arc::clone(view.operations.component),
            classes: Arc::clone(view.operations.classes),
            limiter: view.operations.limiter.beside(),
        })
    }

    /// For an instance that does nothing else meanwhile: what is under way on the connection would never end.
    async fn execute_alone(&mut self, statement: Statement) -> Result<Answer, Failure> {
        if self.connection.0.try_lock().is_err() {
            return Err(Failure::Other(
                "the connection still does another statement: await that one first".to_owned(),
            ));
        }
        self.execute(statement).await
    }

    async fn execute(&mut self, statement: Statement) -> Result<Answer, Failure> {
        // It is there while it waits for the connection.
        self.limiter.pass(statement.bytes() as u64)?;
        let mut connection = self.connection.0.lock().await;
        let mut operations = Operations {
            component: &self.component,
            classes: &self.classes,
            limiter: &mut self.limiter,
        };
        operations.execute(&mut connection, statement).await
    }
}

fn open(view: &mut SqliteView<'_>, label: &str) -> Outcome<Resource<Shared>> {
    match view.open(label) {
        Ok(connection) => {
            let shared = Shared(Arc::new(Mutex::new(connection)));
            Ok(Ok(view.table.push(shared)?))
        }
        Err(failure) => Ok(Err(failure.into())),
    }
}

/// What the connection's last statements left behind, once those that are under way have ended.
async fn left_behind<T>(
    store: &Store,
    connection: &Resource<Shared>,
    of: impl FnOnce(&Connection) -> T,
) -> wasmtime::Result<T> {
    let Shared(connection) = Call::beside(store, connection)?.connection;
    let connection = connection.lock().await;
    Ok(of(&connection))
}

/// The same for an instance that does nothing else meanwhile.
fn left_behind_alone<T>(
    view: &SqliteView<'_>,
    connection: &Resource<Shared>,
    of: impl FnOnce(&Connection) -> T,
) -> wasmtime::Result<T> {
    let Shared(connection) = view.table.get(connection)?;
    let connection = connection.try_lock().map_err(|_| {
        wasmtime::Error::msg("the connection still does a statement: await that one first")
    })?;
    Ok(of(&connection))
}

impl sqlite::Host for SqliteView<'_> {}
impl sqlite::HostConnection for SqliteView<'_> {}

impl sqlite::HostConnectionWithStore<InstanceState> for SqliteHost {
    async fn open(mut store: Alone<'_>, database: String) -> Outcome<Resource<Shared>> {
        open(&mut store.get(), &database)
    }

    async fn open_async(store: &Store, database: String) -> Outcome<Resource<Shared>> {
        store.with(|mut store| open(&mut store.get(), &database))
    }

    async fn execute(
        mut store: Alone<'_>,
        connection: Resource<Shared>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Outcome<QueryResult> {
        let mut call = Call::start(&store.get(), &connection)?;
        let statement = self::statement(statement, parameters);
        let answer = call.execute_alone(statement).await;
        Ok(answer.map(result).map_err(Error::from))
    }

    async fn execute_async(
        store: &Store,
        connection: Resource<Shared>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Outcome<Rows> {
        let mut call = Call::beside(store, &connection)?;
        let answer = match call.execute(self::statement(statement, parameters)).await {
            Ok(answer) => answer,
            Err(failure) => return Ok(Err(failure.into())),
        };
        store.with(|mut store| {
            let rows = RowStream {
                rows: answer.rows.into_iter(),
                limiter: call.limiter,
            };
            let rows = StreamReader::new(&mut store, rows)?;
            // The statement is done: nothing can go wrong among its rows.
            let end = async { wasmtime::error::Ok(Ok(())) };
            Ok(Ok((
                answer.columns,
                rows,
                FutureReader::new(&mut store, end)?,
            )))
        })
    }

    async fn last_insert_rowid(
        mut store: Alone<'_>,
        connection: Resource<Shared>,
    ) -> wasmtime::Result<i64> {
        left_behind_alone(&store.get(), &connection, |c| c.session.last_insert_rowid)
    }

    async fn last_insert_rowid_async(
        store: &Store,
        connection: Resource<Shared>,
    ) -> wasmtime::Result<i64> {
        left_behind(store, &connection, |c| c.session.last_insert_rowid).await
    }

    async fn changes(mut store: Alone<'_>, connection: Resource<Shared>) -> wasmtime::Result<u64> {
        left_behind_alone(&store.get(), &connection, |c| c.session.changes)
    }

    async fn changes_async(store: &Store, connection: Resource<Shared>) -> wasmtime::Result<u64> {
        left_behind(store, &connection, |c| c.session.changes).await
    }

    async fn drop(store: &Store, connection: Resource<Shared>) -> wasmtime::Result<()> {
        store.with(|mut store| store.get().table.delete(connection).map(drop))?;
        Ok(())
    }
}

/// The rows of an answer, which the guest pays for until it has taken them.
struct RowStream {
    rows: vec::IntoIter<Vec<StoreValue>>,
    limiter: MemoryLimiter,
}

impl RowStream {
    fn batch(&mut self) -> Vec<RowResult> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH_BYTES
            && let Some(values) = self.rows.next()
        {
            bytes += values.iter().map(StoreValue::bytes).sum::<usize>();
            batch.push(row(values));
        }
        self.limiter.release(bytes as u64);
        batch
    }
}

impl<D> StreamProducer<D> for RowStream {
    type Item = RowResult;
    type Buffer = VecBuffer<RowResult>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut rows: Destination<'a, RowResult, VecBuffer<RowResult>>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = self.get_mut();
        // The guest only asks whether there is something to read.
        if rows.remaining(store.as_context_mut()) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        rows.set_buffer(this.batch().into());
        let is_over = this.rows.len() == 0;
        Poll::Ready(Ok(match is_over {
            true => StreamResult::Dropped,
            false => StreamResult::Completed,
        }))
    }
}
