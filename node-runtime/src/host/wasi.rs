//! WASI 0.2 and 0.3 but for HTTP: environment, output, clocks, random numbers, streams. No files: guests
//! get no directory. No network: sockets are denied when they are made, names when they are looked
//! up.

use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::{
    InstanceState,
    output::{GuestOutput, Stream},
};

/// Random bytes that one call may ask for; more traps.
const RANDOM_BYTES: u64 = 1 << 20;

pub(super) fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi::p3::add_to_linker(linker)
}

impl WasiView for InstanceState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.make_room();
        let (component, request) = (&self.component, &self.request);
        let ctx = self.wasi.get_or_insert_with(|| {
            let output =
                |stream| GuestOutput::new(Arc::clone(component), Arc::clone(request), stream);
            WasiCtx::builder()
                .envs(&component.env)
                .stdout(output(Stream::Stdout))
                .stderr(output(Stream::Stderr))
                .allow_tcp(false)
                .allow_udp(false)
                .allow_ip_name_lookup(false)
                .max_random_size(RANDOM_BYTES)
                .build()
        });
        WasiCtxView {
            ctx,
            table: &mut self.table,
        }
    }
}
