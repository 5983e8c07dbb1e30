//! What guests may call: one module per capability, all linked for everybody. Policy is applied at
//! the call, with the interface's own error, because toolchains import what they never use.

mod blobstore;
mod configuration;
mod counted;
mod http;
mod key_value;
pub mod output;
mod resources;
mod sqlite;
mod wasi;

use std::sync::Arc;

use wasmtime::{
    Engine,
    component::{Linker, ResourceTable},
};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi_http::WasiHttpCtx;

use self::{counted::Counted, resources::Room};
use crate::{app::Component, engine::MemoryLimiter, serve::RequestId, stores::StoreClasses};

/// Bytes that one call of a guest may make the host copy.
pub(crate) const HOSTCALL_BYTES: usize = 8 << 20;

/// What the host keeps for one instance.
pub struct InstanceState {
    pub(crate) table: ResourceTable,
    pub(crate) limiter: MemoryLimiter,
    room: Room,
    component: Arc<Component>,
    request: Arc<RequestId>,
    stores: Arc<StoreClasses>,
    open_stores: Counted,
    open_databases: Counted,
    open_blobs: blobstore::OpenBlobs,
    /// Made by the first call that needs it: small guests make none.
    wasi: Option<WasiCtx>,
    http: WasiHttpCtx,
    policy: http::DenyAll,
}

impl InstanceState {
    pub(crate) fn new(
        component: Arc<Component>,
        request: Arc<RequestId>,
        stores: Arc<StoreClasses>,
        limiter: MemoryLimiter,
    ) -> Self {
        let (table, room) = Room::start();
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(resources::FIELDS_BYTES);
        Self {
            table,
            limiter,
            room,
            component,
            request,
            stores,
            open_stores: Counted::default(),
            open_databases: Counted::default(),
            open_blobs: blobstore::OpenBlobs::default(),
            wasi: None,
            http,
            policy: http::DenyAll,
        }
    }
}

/// A linker with every interface that Shoal implements.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<InstanceState>> {
    let mut linker = Linker::new(engine);
    wasi::link(&mut linker)?;
    http::link(&mut linker)?;
    key_value::link(&mut linker)?;
    sqlite::link(&mut linker)?;
    blobstore::link(&mut linker)?;
    configuration::link(&mut linker)?;
    Ok(linker)
}
