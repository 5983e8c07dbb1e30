//! `wasi:config/store@0.2.0-rc.1`.

use wasmtime::component::Linker;

use self::bindings::wasi::config0_2_0_rc_1::store::{self, Error};
use super::{ConfigurationHost, ConfigurationView, view};
use crate::host::InstanceState;

mod bindings {
    #![allow(missing_docs, reason = "generated; the WIT documents it")]

    wasmtime::component::bindgen!({
        path: "wit",
        world: "config-rc",
        imports: { default: trappable },
    });
}

pub(super) fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, ConfigurationHost>(linker, view)
}

impl store::Host for ConfigurationView<'_> {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, Error>> {
        Ok(Ok(ConfigurationView::get(self, &key).ok()))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, Error>> {
        Ok(Ok(self.all()))
    }
}
