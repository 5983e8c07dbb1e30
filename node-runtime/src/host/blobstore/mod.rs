//! Objects: `wasi:blobstore`.
//!
//! A container is a Store: its name is the label that is bound, and what it opens is the Store by its id,
//! which the guest never sees. A guest neither makes nor removes containers.

mod bindings;
mod containers;
mod incoming;
mod names;
mod operations;
mod outgoing;
mod pipe;

use shoal_stores::BlobError;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use self::operations::Operations;
pub use self::{
    containers::Container, incoming::IncomingValue, names::ObjectNames, outgoing::OutgoingValue,
};
use super::{
    InstanceState,
    counted::{Counted, Open},
};

/// Containers that one instance may hold open at once.
const CONTAINERS: usize = 256;
/// Values that it may read, and values that it may write, at once.
const VALUES: usize = 16;

/// What an instance holds open.
#[derive(Default)]
pub(super) struct OpenBlobs {
    containers: Counted,
    reads: Counted,
    writes: Counted,
}

/// One more of at most `most`; `what` they are.
fn one_more(open: &mut Counted, most: usize, what: &str) -> Result<Open, BlobError> {
    let too_many = || {
        let why = format!("{most} {what} already; drop one that is no longer needed");
        BlobError::Refused(why)
    };
    open.one_more(most).ok_or_else(too_many)
}

/// What the interface needs of an instance.
pub(super) struct BlobsView<'a> {
    table: &'a mut ResourceTable,
    open: &'a mut OpenBlobs,
    operations: Operations<'a>,
}

pub(super) struct BlobsHost;

impl HasData for BlobsHost {
    type Data<'a> = BlobsView<'a>;
}

/// What a call of a guest gives, in the interface's own words.
type Outcome<T> = wasmtime::Result<Result<T, String>>;

fn said<T>(result: Result<T, BlobError>) -> Outcome<T> {
    Ok(result.map_err(|error| error.to_string()))
}

impl BlobsView<'_> {
    /// Gives the guest something that was made for it, if there is room.
    fn keep<T: Send + 'static>(&mut self, made: Result<T, BlobError>) -> Outcome<Resource<T>> {
        let made = match made {
            Ok(made) => made,
            Err(error) => return said(Err(error)),
        };
        let full = |_| "the instance holds as many resources as it may".to_owned();
        Ok(self.table.push(made).map_err(full))
    }
}

fn view(state: &mut InstanceState) -> BlobsView<'_> {
    state.make_room();
    BlobsView {
        table: &mut state.table,
        open: &mut state.open_blobs,
        operations: Operations {
            component: &state.component,
            classes: &state.stores,
            limiter: &mut state.limiter,
        },
    }
}

pub(super) fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    bindings::types::add_to_linker::<_, BlobsHost>(linker, view)?;
    bindings::container::add_to_linker::<_, BlobsHost>(linker, view)?;
    bindings::blobstore::add_to_linker::<_, BlobsHost>(linker, view)
}
