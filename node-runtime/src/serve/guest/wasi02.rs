//! `wasi:http/incoming-handler@0.2`: one call, which ends with the guest.

use std::sync::Arc;

use http::Request;
use wasmtime::Store;
use wasmtime_wasi_http::{
    WasiHttpView as _,
    p2::{
        bindings::{ProxyPre, http::types::Scheme},
        body::HostOutgoingBody,
    },
};

use super::name;
use crate::{
    host::InstanceState,
    serve::{exchange::Exchange, request_body::RequestBody},
};

pub(super) async fn call(
    pre: &ProxyPre<InstanceState>,
    store: &mut Store<InstanceState>,
    request: Request<RequestBody>,
    exchange: Arc<Exchange>,
    started: &mut bool,
) -> wasmtime::Result<()> {
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(Scheme::Http, request)?;
    let answer =
        move |response: Result<_, _>| exchange.respond(response.map_err(|code| name(&code)));
    let out = http.new_response_outparam_from_callback(answer)?;
    let proxy = pre.instantiate_async(&mut *store).await?;
    *started = true;
    proxy
        .wasi_http_incoming_handler()
        .call_handle(store, request, out)
        .await
}

/// Whether the guest left a body that it neither finished nor dropped: whoever reads it must not take
/// its end for the end of the response.
pub(super) fn left_body(state: &mut InstanceState) -> bool {
    state
        .table
        .iter_mut()
        .any(|entry| entry.is::<HostOutgoingBody>())
}
