//! The request's body on its way to the guest: counted, and not waited for without end.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use wasmtime_wasi_http::Error;

use super::{exchange::Exchange, idle::LazyTimer};

pub(super) struct RequestBody {
    inner: Incoming,
    exchange: Arc<Exchange>,
    left: u64,
    idle: Duration,
    timer: LazyTimer,
}

impl RequestBody {
    /// At most `limit` bytes, and at most `idle` between two pieces.
    pub(super) fn new(
        inner: Incoming,
        exchange: Arc<Exchange>,
        limit: u64,
        idle: Duration,
    ) -> Self {
        Self {
            inner,
            exchange,
            left: limit,
            idle,
            timer: LazyTimer::default(),
        }
    }

    fn count(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Error> {
        self.exchange.moved();
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(frame)
            }
            None => {
                self.exchange.set_body_too_large();
                Err(Error::HttpRequestBodySize(None))
            }
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(this.count(frame))),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let (exchange, idle) = (&this.exchange, this.idle);
                ready!(this.timer.poll(cx, || exchange.patience(idle)));
                Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
