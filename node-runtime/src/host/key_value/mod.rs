//! Key-value stores: five interfaces over one set of operations.
//!
//! A guest names a label; what it opens is the Store that the label is bound to, by the Store's id,
//! which the guest never sees.

mod draft;
mod draft2;
mod operations;
mod spin;
mod spin_v1;
mod spin_v3;

use std::sync::Arc;

use shoal_stores::KeyValueError;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use self::operations::{Operations, Target};
use super::{
    InstanceState,
    counted::{Counted, Open},
};
use crate::{app::Component, stores::StoreClasses};

/// A store that a guest opened, in any of the interfaces.
pub struct Bucket {
    target: Target,
    _open: Open,
}

/// Stores that one instance may hold open at once.
const MOST_OPEN: usize = 256;

/// What the key-value interfaces need of an instance.
pub(super) struct KeyValueView<'a> {
    table: &'a mut ResourceTable,
    component: &'a Arc<Component>,
    classes: &'a Arc<StoreClasses>,
    open_stores: &'a mut Counted,
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
    /// The instance holds as many stores open as it may.
    TooManyOpen,
    /// Anything else, in words for the guest.
    Other(String),
}

impl Failure {
    /// What `TooManyOpen` means, for interfaces without a word for it.
    fn too_many_open() -> String {
        format!("{MOST_OPEN} stores are open already; drop one that is no longer needed")
    }
}

impl KeyValueView<'_> {
    /// The Store that a label is bound to, if the instance may hold one more open.
    fn open_label(&mut self, label: &str) -> Result<Bucket, Failure> {
        let target = self.operations.find_label(label)?;
        let Some(open) = self.open_stores.one_more(MOST_OPEN) else {
            self.operations.tell_too_many_open(target);
            return Err(Failure::TooManyOpen);
        };
        Ok(Bucket {
            target,
            _open: open,
        })
    }

    /// Gives the guest a store that it opened, if it may hold one more.
    fn keep<T: Send + 'static>(&mut self, opened: T) -> Result<Resource<T>, Failure> {
        self.table.push(opened).map_err(|_| Failure::TooManyOpen)
    }
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
        classes: &state.stores,
        limiter: &mut state.limiter,
    };
    KeyValueView {
        table: &mut state.table,
        component: &state.component,
        classes: &state.stores,
        open_stores: &mut state.open_stores,
        operations,
    }
}

pub(super) fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    draft::link(linker)?;
    draft2::link(linker)?;
    spin::link(linker)?;
    spin_v1::link(linker)?;
    spin_v3::link(linker)
}
