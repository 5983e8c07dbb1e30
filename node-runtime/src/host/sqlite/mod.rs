//! SQL databases: `fermyon:spin/sqlite` in its first two versions and `spin:sqlite`, the third, over one set of
//! operations.
//!
//! A guest names a label; what it opens is the Store that the label is bound to, by the Store's id,
//! which the guest never sees. A connection is a session of the database: a transaction that is open
//! when the guest drops it, or ends, is rolled back.

mod operations;
mod v1;
mod v2;
mod v3;
mod values;

use std::sync::Arc;

use shoal_stores::{
    Sql,
    sql::{Session, SessionState},
};
use wasmtime::component::{HasData, Linker, ResourceTable};

use self::operations::Operations;
use super::{
    InstanceState,
    counted::{Counted, Open},
};

/// Connections that one instance may have open at once, as in Spin.
const MOST_OPEN: usize = 256;

/// A connection that a guest opened, in any of the interfaces.
pub struct Connection {
    session: Session,
    /// Which of the component's Stores.
    binding: usize,
    /// Where its transaction is, if it ever had one.
    database: Option<Arc<dyn Sql>>,
    /// A statement is under way; if the guest gives it up, nobody knows what it opened.
    is_busy: bool,
    _open: Open,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if (self.is_busy || self.session.state == SessionState::InTransaction)
            && let Some(database) = &self.database
        {
            database.close(&self.session);
        }
    }
}

/// What the interfaces need of an instance.
pub(super) struct SqliteView<'a> {
    table: &'a mut ResourceTable,
    open: &'a mut Counted,
    operations: Operations<'a>,
}

impl SqliteView<'_> {
    fn open(&mut self, label: &str) -> Result<Connection, Failure> {
        self.operations.open(label, self.open)
    }
}

pub(super) struct SqliteHost;

impl HasData for SqliteHost {
    type Data<'a> = SqliteView<'a>;
}

/// Why an operation failed, before an interface puts it into its own words.
#[derive(Debug)]
enum Failure {
    /// The Store may not be used, or none is bound to the label.
    AccessDenied,
    /// There is no such connection.
    InvalidConnection,
    /// The database holds as many bytes as it may.
    Full,
    /// Anything else, in words for the guest.
    Other(String),
}

fn view(state: &mut InstanceState) -> SqliteView<'_> {
    state.make_room();
    let operations = Operations {
        component: &state.component,
        classes: &state.stores,
        limiter: &mut state.limiter,
    };
    SqliteView {
        table: &mut state.table,
        open: &mut state.open_databases,
        operations,
    }
}

pub(super) fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    v1::link(linker)?;
    v2::link(linker)?;
    v3::link(linker)
}
