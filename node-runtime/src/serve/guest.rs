//! An instance answering one request.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::Request;
use wasmtime::Store;
use wasmtime_wasi_http::{
    WasiHttpView as _,
    p2::{bindings::http::types::Scheme, body::HostOutgoingBody},
};

use super::{exchange::Exchange, failure::Failure, request_body::RequestBody};
use crate::{
    code::Prepared,
    engine::Slot,
    host::{HOSTCALL_BYTES, InstanceState},
};

/// A guest at work. Dropping it ends the instance wherever it is.
pub(super) struct Guest(Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>);

impl Guest {
    pub(super) fn new(
        prepared: Arc<Prepared>,
        state: InstanceState,
        request: Request<RequestBody>,
        exchange: Arc<Exchange>,
        slot: Slot,
    ) -> Self {
        Self(Box::pin(async move {
            let ended = run(&prepared, state, request, &exchange).await;
            // Taken until the instance is gone.
            drop(slot);
            ended
        }))
    }

    /// Runs the guest until it waits or has used its turn. A panic of the host is a failure of this
    /// request alone.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(polled) => polled,
            Err(_) => Poll::Ready(Err(Failure::panic())),
        }
    }
}

impl Future for Guest {
    type Output = Result<(), Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(Guest::poll(self.get_mut(), cx)))
    }
}

async fn run(
    prepared: &Prepared,
    state: InstanceState,
    request: Request<RequestBody>,
    exchange: &Arc<Exchange>,
) -> Result<(), Failure> {
    let mut store = Store::new(prepared.pre.engine(), state);
    store.limiter(|state| &mut state.limiter);
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    store.set_hostcall_fuel(HOSTCALL_BYTES);
    let mut started = false;
    let ended = call(
        prepared,
        &mut store,
        request,
        Arc::clone(exchange),
        &mut started,
    )
    .await;
    let state = store.data_mut();
    // A body that is still there was neither finished nor dropped by the guest: whoever reads it
    // must not take its end for the end of the response.
    if ended.is_err()
        || state
            .table
            .iter_mut()
            .any(|entry| entry.is::<HostOutgoingBody>())
    {
        exchange.set_unfinished();
    }
    ended.map_err(|error| Failure::new(&error, started, state.limiter.refused()))
}

async fn call(
    prepared: &Prepared,
    store: &mut Store<InstanceState>,
    request: Request<RequestBody>,
    exchange: Arc<Exchange>,
    started: &mut bool,
) -> wasmtime::Result<()> {
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(Scheme::Http, request)?;
    let answer = move |response| exchange.respond(response);
    let out = http.new_response_outparam_from_callback(answer)?;
    let proxy = prepared.pre.instantiate_async(&mut *store).await?;
    *started = true;
    proxy
        .wasi_http_incoming_handler()
        .call_handle(store, request, out)
        .await
}
