//! `fermyon:spin/config`, Spin's first version.

use wasmtime::component::Linker;

use self::bindings::fermyon::spin::config::{self, Error};
use super::{ConfigurationHost, ConfigurationView, NoValue, view};
use crate::host::InstanceState;

mod bindings {
    #![allow(missing_docs, reason = "generated; the WIT documents it")]

    wasmtime::component::bindgen!({
        path: "wit",
        world: "spin-config",
        imports: { default: trappable },
    });
}

pub(super) fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    config::add_to_linker::<_, ConfigurationHost>(linker, view)
}

impl From<NoValue> for Error {
    fn from(why: NoValue) -> Self {
        match why {
            NoValue::InvalidName(message) => Self::InvalidKey(message),
            // The first version has no word for it; this is the one that Spin says.
            NoValue::Undefined(message) => Self::Provider(message),
        }
    }
}

impl config::Host for ConfigurationView<'_> {
    fn get_config(&mut self, key: String) -> wasmtime::Result<Result<String, Error>> {
        Ok(self.get(&key).map_err(Error::from))
    }
}
