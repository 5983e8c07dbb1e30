//! Key-value stores: three interfaces over one set of operations.
//!
//! A guest names a label; what it opens is the Store that the label is bound to, by the Store's id,
//! which the guest never sees.

mod draft;
mod draft2;
mod operations;
mod spin;

use shoal_stores::{KeyValueError, StoreId, StoreLimits};
use wasmtime::component::{HasData, Linker, ResourceTable};

use self::operations::Operations;
use super::InstanceState;

/// A store that a guest opened, in any of the interfaces.
pub struct Bucket {
    id: StoreId,
    limits: StoreLimits,
}

/// What the key-value interfaces need of an instance.
pub(super) struct KeyValueView<'a> {
    table: &'a mut ResourceTable,
    operations: Operations<'a>,
}

pub(super) struct KeyValueHost;

impl HasData for KeyValueHost {
    type Data<'a> = KeyValueView<'a>;
}

/// Why an operation failed, before an interface puts it into its own words.
#[derive(Debug)]
enum Failure {
    /// No Store is bound to the label.
    NoSuchStore,
    /// The Store may not be used.
    AccessDenied,
    /// Anything else, in words for the guest.
    Other(String),
}

impl From<KeyValueError> for Failure {
    fn from(error: KeyValueError) -> Self {
        match error {
            KeyValueError::AccessDenied => Self::AccessDenied,
            error => Self::Other(error.to_string()),
        }
    }
}

fn view(state: &mut InstanceState) -> KeyValueView<'_> {
    state.make_room();
    let operations = Operations {
        component: &state.component,
        stores: &*state.stores,
        limiter: &mut state.limiter,
    };
    KeyValueView {
        table: &mut state.table,
        operations,
    }
}

pub(super) fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    draft::link(linker)?;
    draft2::link(linker)?;
    spin::link(linker)
}
