//! `spin:variables@3.0.0`: asynchronous in form; the values are here already.

use wasmtime::component::{Accessor, Linker};

use self::bindings::spin::variables::variables::{self, Error};
use super::{ConfigurationHost, ConfigurationView, NoValue, view};
use crate::host::InstanceState;

mod bindings {
    #![allow(missing_docs, reason = "generated; the WIT documents it")]

    wasmtime::component::bindgen!({
        path: "wit",
        world: "spin-variables-v3",
        imports: { default: store | trappable },
    });
}

pub(super) fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    variables::add_to_linker::<_, ConfigurationHost>(linker, view)
}

impl From<NoValue> for Error {
    fn from(why: NoValue) -> Self {
        match why {
            NoValue::InvalidName(message) => Self::InvalidName(message),
            NoValue::Undefined(message) => Self::Undefined(message),
        }
    }
}

impl variables::Host for ConfigurationView<'_> {}

impl variables::HostWithStore<InstanceState> for ConfigurationHost {
    async fn get(
        store: &Accessor<InstanceState, Self>,
        name: String,
    ) -> wasmtime::Result<Result<String, Error>> {
        let value = store.with(|mut store| ConfigurationView::get(&store.get(), &name));
        Ok(value.map_err(Error::from))
    }
}
