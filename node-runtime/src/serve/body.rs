//! Bodies of responses: the runtime's own, whole ones, and those that a guest is still writing.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::WasiBody;

use super::{RequestId, exchange::Exchange, failure::Failure, guest::Guest, idle::LazyTimer};
use crate::{
    app::{App, Component, Permit},
    metrics::Source,
};

/// Longest time that a guest runs after its response.
const RUN_ON: Duration = Duration::from_secs(60);

/// Body of a response.
pub(crate) enum ResponseBody {
    /// All of it is here.
    Whole(Option<Bytes>),
    /// A guest writes it.
    Guest(Box<GuestBody>),
}

/// The response breaks off: the connection is closed, so that the client does not take what it got
/// for the whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokenBody {
    #[error("the guest did not finish the body of its response")]
    Unfinished,
    #[error("no byte moved for longer than limits.idle")]
    Idle,
}

/// A body that a guest is writing. The guest runs when the body is polled, in the task of its
/// connection: so it ends with it.
pub(crate) struct GuestBody {
    pub(super) ready: VecDeque<Frame<Bytes>>,
    pub(super) inner: Option<WasiBody>,
    pub(super) running: Option<Running>,
    pub(super) exchange: Arc<Exchange>,
    pub(super) idle: Duration,
    pub(super) timer: LazyTimer,
    /// Counts the request when the body is gone.
    #[expect(dead_code, reason = "it works by being dropped")]
    pub(super) record: Record,
}

/// A guest, and the admission that it holds.
pub(super) struct Running {
    pub(super) guest: Guest,
    pub(super) permit: Permit,
    pub(super) component: Arc<Component>,
    pub(super) id: Arc<RequestId>,
}

/// Counts a request when it is over.
pub(super) struct Record {
    pub(super) app: Arc<App>,
    pub(super) status: StatusCode,
    pub(super) started: Instant,
}

impl Drop for Record {
    fn drop(&mut self) {
        self.app
            .metrics
            .record(self.status, Source::Guest, self.started.elapsed());
    }
}

impl ResponseBody {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Guest(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Guest(_) => SizeHint::default(),
        }
    }
}

/// A body with something that is dropped with it, or as soon as it is over.
pub(crate) struct TrackedBody<T> {
    body: ResponseBody,
    tracked: Option<T>,
}

impl<T> TrackedBody<T> {
    pub(crate) fn new(body: ResponseBody, tracked: T) -> Self {
        Self {
            body,
            tracked: Some(tracked),
        }
    }
}

impl<T: Unpin> Body for TrackedBody<T> {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            this.tracked = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, BrokenBody>>>;

impl GuestBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        if let Some(frame) = self.ready.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        loop {
            if let Poll::Ready(polled) = self.poll_inner(cx) {
                return Poll::Ready(polled);
            }
            let Some(running) = &mut self.running else {
                break;
            };
            match running.guest.poll(cx) {
                // Its body is at its end now: once more from the top.
                Poll::Ready(ended) => {
                    running.ended(&ended);
                    self.running = None;
                }
                Poll::Pending => {
                    if let Poll::Ready(polled) = self.poll_inner(cx) {
                        return Poll::Ready(polled);
                    }
                    break;
                }
            }
        }
        let (exchange, idle) = (&self.exchange, self.idle);
        match self.timer.poll(cx, || exchange.patience(idle)) {
            Poll::Ready(()) => self.break_off(BrokenBody::Idle),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Polled {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        match Pin::new(inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.exchange.moved();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => self.break_off(BrokenBody::Unfinished),
            Poll::Ready(None) if self.exchange.is_unfinished() => {
                self.break_off(BrokenBody::Unfinished)
            }
            Poll::Ready(None) => {
                self.inner = None;
                if let Some(running) = self.running.take() {
                    running.run_on(self.idle);
                }
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn break_off(&mut self, broken: BrokenBody) -> Polled {
        (self.inner, self.running) = (None, None);
        Poll::Ready(Some(Err(broken)))
    }
}

impl Running {
    pub(super) fn ended(&self, ended: &Result<(), Failure>) {
        if let Err(failure) = ended {
            report(self.permit.app(), &self.component, &self.id, failure);
        }
    }

    /// Lets a guest whose response is complete do what it still has to, for a while: nobody waits
    /// for it any more, so nothing but time ends it.
    pub(super) fn run_on(self, idle: Duration) {
        let at_most = idle.min(RUN_ON);
        let Self {
            guest,
            permit,
            component,
            id,
        } = self;
        tokio::spawn(async move {
            if let Ok(Err(failure)) = tokio::time::timeout(at_most, guest).await {
                report(permit.app(), &component, &id, &failure);
            }
        });
    }
}

/// Logs and counts the death of a guest.
fn report(app: &App, component: &Component, id: &RequestId, failure: &Failure) {
    app.node.traps.count(failure.reason);
    let Some(left_out) = app.trap_log.write(Instant::now()) else {
        return;
    };
    tracing::warn!(
        namespace = app.name().namespace,
        app = app.name().name,
        component = component.name,
        request = id.as_str(),
        reason = failure.reason,
        left_out,
        "guest failed: {}",
        failure.message
    );
}
