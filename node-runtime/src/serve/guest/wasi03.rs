//! `wasi:http/handler@0.3`: the call returns the head of the response; the guest goes on with its body,
//! and with whatever else it has to do.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::FutureExt as _;
use http::{Request, uri::Scheme};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;
use wasmtime::{Store, component::Accessor};
use wasmtime_wasi_http::{
    Error, FieldMap, WasiBody, WasiHttpView as _,
    p3::{self, bindings::Service, bindings::ServicePre},
};

use super::name;
use crate::{
    host::InstanceState,
    serve::{
        exchange::{Exchange, GuestResponse},
        headers,
        request_body::RequestBody,
    },
};

/// Tasks, calls, streams and futures that an instance may have at once. Wasmtime keeps a few hundred
/// bytes for each, which the app does not pay for.
const AT_ONCE: usize = 2048;

pub(super) async fn call(
    pre: &ServicePre<InstanceState>,
    store: &mut Store<InstanceState>,
    request: Request<RequestBody>,
    exchange: Arc<Exchange>,
    started: &mut bool,
) -> wasmtime::Result<()> {
    if let Some(table) = store.concurrent_resource_table() {
        table.set_max_capacity(AT_ONCE);
    }
    let service = pre.instantiate_async(&mut *store).await?;
    *started = true;
    store
        .run_concurrent(async |store| serve(&service, store, request, &exchange).await)
        .await?
}

/// Runs the guest until it has answered, all of its tasks have ended and its body was taken.
async fn serve(
    service: &Service,
    store: &Accessor<InstanceState>,
    request: Request<RequestBody>,
    exchange: &Exchange,
) -> wasmtime::Result<()> {
    let request = store.with(|mut store| incoming(store.data_mut(), request))?;
    let answer = service.handle(store, request).await?;
    let (taken, when_taken) = oneshot::channel();
    let when_taken = when_taken.shared();
    let response: GuestResponse = match answer {
        Ok(response) => {
            let sent = when_taken.clone();
            // What a guest learns that asks whether its response was sent.
            let sent = async move { sent.await.map_err(|_| Error::ConnectionTerminated) };
            let response = store.with(|store| response.into_http(store, sent))?;
            Ok(response.map(|inner| Taken::body(inner, taken)))
        }
        Err(code) => {
            drop(taken);
            Err(name(&code))
        }
    };
    exchange.respond(response);
    poll_fn(|cx| store.poll_no_interesting_tasks(cx)).await;
    // A body can outlive the guest's tasks: that of the request, handed on. It is the guest's still.
    let _ = when_taken.await;
    Ok(())
}

fn incoming(
    state: &mut InstanceState,
    request: Request<RequestBody>,
) -> wasmtime::Result<p3::Request> {
    let authority = headers::authority(&request).and_then(|name| name.parse().ok());
    let (parts, body) = request.into_parts();
    let headers = FieldMap::new_immutable(state.http().hooks, parts.headers);
    let path = parts.uri.path_and_query().cloned();
    let scheme = Some(Scheme::HTTP);
    // What the guest says of the body when it has read it interests nobody here.
    let (request, _) = p3::Request::new(parts.method, scheme, authority, path, headers, None, body);
    Ok(request)
}

/// A body that tells when all of it was taken; dropping it before tells that it was not.
struct Taken {
    inner: WasiBody,
    taken: Option<oneshot::Sender<()>>,
}

impl Taken {
    fn body(inner: WasiBody, taken: oneshot::Sender<()>) -> WasiBody {
        let taken = Some(taken);
        Self { inner, taken }.boxed_unsync()
    }
}

impl Body for Taken {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        if let Poll::Ready(None) = polled
            && let Some(taken) = this.taken.take()
        {
            // The guest may be gone.
            let _ = taken.send(());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
