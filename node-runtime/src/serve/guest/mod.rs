//! An instance answering one request.

mod wasi02;
mod wasi03;

use std::{
    fmt::Debug,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use http::Request;
use wasmtime::Store;

use super::{exchange::Exchange, failure::Failure, request_body::RequestBody};
use crate::{
    code::{Handler, Prepared},
    engine::Slot,
    host::{HOSTCALL_BYTES, InstanceState},
    turns::{Share, Turn},
};

/// A guest at work. Dropping it ends the instance wherever it is.
pub(super) struct Guest {
    run: Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>,
    turn: Arc<Turn>,
    /// Wakes `turn`.
    waker: Waker,
}

impl Guest {
    pub(super) fn new(
        prepared: Arc<Prepared>,
        state: InstanceState,
        request: Request<RequestBody>,
        exchange: Arc<Exchange>,
        slot: Slot,
        share: Arc<Share>,
    ) -> Self {
        let turn = Turn::new(share);
        Self {
            run: Box::pin(async move {
                let ended = run(&prepared, state, request, &exchange).await;
                // Taken until the instance is gone.
                drop(slot);
                ended
            }),
            waker: Waker::from(Arc::clone(&turn)),
            turn,
        }
    }

    /// Runs the guest until it waits or has used its turn, when it is its app's turn. A panic of the host is
    /// a failure of this request alone.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let Some(begun) = self.turn.begin(cx.waker()) else {
            return Poll::Pending;
        };
        let mut own = Context::from_waker(&self.waker);
        let polled = catch_unwind(AssertUnwindSafe(|| self.run.as_mut().poll(&mut own)));
        let polled = polled.unwrap_or_else(|_| Poll::Ready(Err(Failure::panic())));
        self.turn.end(begun, polled.is_ready());
        polled
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.turn.leave();
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
    let engine = match &prepared.handler {
        Handler::Wasi02(pre) => pre.engine(),
        Handler::Wasi03(pre) => pre.engine(),
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    store.set_hostcall_fuel(HOSTCALL_BYTES);
    let (mut started, answer) = (false, Arc::clone(exchange));
    let ended = match &prepared.handler {
        Handler::Wasi02(pre) => wasi02::call(pre, &mut store, request, answer, &mut started).await,
        // Boxed, so that the smaller guests of the other kind do not pay for its size.
        Handler::Wasi03(pre) => {
            Box::pin(wasi03::call(pre, &mut store, request, answer, &mut started)).await
        }
    };
    let state = store.data_mut();
    if ended.is_err() || wasi02::left_body(state) {
        exchange.set_unfinished();
    }
    ended.map_err(|error| Failure::new(&error, started, state.limiter.refused()))
}

/// The WIT name of an error, without what it carries: `internal-error` of
/// `ErrorCode::InternalError(None)`.
fn name(code: &impl Debug) -> String {
    let debug = format!("{code:?}");
    let path = |c: char| c.is_ascii_alphanumeric() || c == ':';
    let end = debug.find(|c| !path(c)).unwrap_or(debug.len());
    let path = debug.get(..end).unwrap_or_default();
    let mut kebab = String::new();
    for c in path.rsplit(':').next().unwrap_or_default().chars() {
        if c.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(c.to_ascii_lowercase());
    }
    kebab
}

#[cfg(test)]
mod tests {
    use wasmtime_wasi_http::{p2, p3};

    use super::*;

    #[test]
    fn an_error_has_the_name_that_wit_gives_it() {
        let older = p2::bindings::http::types::ErrorCode::InternalError(Some("x: y".into()));
        assert_eq!(name(&older), "internal-error");
        let newer = p3::bindings::http::types::ErrorCode::LoopDetected;
        assert_eq!(name(&newer), "loop-detected");
    }
}
