//! `fermyon:spin/variables@2.0.0`.

use wasmtime::component::Linker;

use self::bindings::fermyon::spin2_0_0::variables::{self, Error};
use super::{ConfigurationHost, ConfigurationView, NoValue, view};
use crate::host::InstanceState;

mod bindings {
    #![allow(missing_docs, reason = "generated; the WIT documents it")]

    wasmtime::component::bindgen!({
        path: "wit",
        world: "spin-variables",
        imports: { default: trappable },
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

impl variables::Host for ConfigurationView<'_> {
    fn get(&mut self, name: String) -> wasmtime::Result<Result<String, Error>> {
        Ok(ConfigurationView::get(self, &name).map_err(Error::from))
    }
}
