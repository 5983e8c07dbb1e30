//! From an admitted request to the head of its response.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use wasmtime_wasi_http::WasiBody;

use super::{
    Refusal, RequestId,
    body::{GuestBody, Record, ResponseBody, Running},
    exchange::{Exchange, GuestResponse},
    guest::Guest,
    idle::LazyTimer,
    request_body::RequestBody,
};
use crate::{
    app::{App, Permit, Revision, Target},
    code::{Handler, Prepared},
    engine::{MemoryLimiter, Slot},
    host::InstanceState,
};

/// A request that was admitted.
pub(super) struct Start<'a> {
    pub(super) app: &'a Arc<App>,
    pub(super) revision: &'a Revision,
    pub(super) target: &'a Target,
    pub(super) code: Arc<Prepared>,
    pub(super) id: &'a Arc<RequestId>,
    pub(super) started: Instant,
}

impl Start<'_> {
    /// Runs a fresh instance until its response begins, or never will.
    pub(super) async fn run(
        self,
        request: Request<Incoming>,
        permit: Permit,
        slot: Slot,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let head = *request.method() == Method::HEAD;
        let exchange = Arc::new(Exchange::new());
        let guest = self.guest(request, &exchange, slot);
        let (component, id) = (Arc::clone(&self.target.component), Arc::clone(self.id));
        let mut running = Some(Running {
            guest,
            permit,
            component,
            id,
        });
        let response = self.response(&mut running, &exchange).await?;
        another_turn(&mut running).await;
        self.check_body(&exchange)?;
        let (parts, body) = response.map_err(Refusal::GuestError)?.into_parts();
        if parts.status.is_informational() {
            return Err(Refusal::NoResponse);
        }
        let body = self
            .body(body, running, exchange, head, parts.status)
            .await?;
        Ok(Response::from_parts(parts, body))
    }

    fn guest(&self, request: Request<Incoming>, exchange: &Arc<Exchange>, slot: Slot) -> Guest {
        let limits = &self.revision.limits;
        let node = &self.app.node;
        let limiter = MemoryLimiter::new(
            Arc::clone(&node.memory),
            Arc::clone(&self.app.memory),
            limits.memory,
            limits.instance_memory,
        );
        let component = Arc::clone(&self.target.component);
        let stores = Arc::clone(&node.stores);
        let state = InstanceState::new(component, Arc::clone(self.id), stores, limiter);
        let request = request.map(|body| {
            RequestBody::new(body, Arc::clone(exchange), limits.request_body, limits.idle)
        });
        Guest::new(
            Arc::clone(&self.code),
            state,
            request,
            Arc::clone(exchange),
            slot,
            Arc::clone(&self.app.share),
        )
    }

    /// Runs the guest until it responds. `running` is left empty when the guest has ended.
    async fn response(
        &self,
        running: &mut Option<Running>,
        exchange: &Exchange,
    ) -> Result<GuestResponse, Refusal> {
        let mut timer = LazyTimer::default();
        let (start, limit) = (self.started, self.revision.limits.response_start);
        poll_fn(|cx| {
            let Some(guest) = running else {
                return Poll::Ready(Err(Refusal::NoResponse));
            };
            let ended = match guest.guest.poll(cx) {
                Poll::Ready(ended) => Some(ended),
                Poll::Pending => None,
            };
            if let Some(ended) = &ended {
                guest.ended(ended);
                *running = None;
            }
            if let Err(refusal) = self.check_body(exchange) {
                return Poll::Ready(Err(refusal));
            }
            if let Some(response) = exchange.take_response() {
                return Poll::Ready(Ok(response));
            }
            match ended {
                Some(Ok(())) => Poll::Ready(Err(Refusal::NoResponse)),
                Some(Err(failure)) => Poll::Ready(Err(failure.refusal)),
                None => timer
                    .poll(cx, || limit.saturating_sub(start.elapsed()))
                    .map(|()| Err(Refusal::Timeout)),
            }
        })
        .await
    }

    /// A request that is too large is refused whatever the guest makes of it, as long as nothing has
    /// been sent.
    fn check_body(&self, exchange: &Exchange) -> Result<(), Refusal> {
        let limit = self.revision.limits.request_body;
        match exchange.is_body_too_large() {
            true => Err(Refusal::BodyTooLarge { limit }),
            false => Ok(()),
        }
    }

    async fn body(
        &self,
        mut inner: WasiBody,
        mut running: Option<Running>,
        exchange: Arc<Exchange>,
        head: bool,
        status: StatusCode,
    ) -> Result<ResponseBody, Refusal> {
        let record = Record {
            app: Arc::clone(self.app),
            status,
            started: self.started,
        };
        let idle = self.revision.limits.idle;
        if let Some(running) = running.take_if(|_| head || has_no_body(status)) {
            // Nobody will read this body: the guest is told so when it writes, as it is when a
            // client goes away, and may do what it still has to.
            drop(inner);
            running.run_on(idle);
            return Ok(ResponseBody::Whole(None));
        }
        let mut ready = VecDeque::new();
        if self.is_all_there(&running) {
            match collect(&mut inner, &exchange).ok_or(Refusal::NoResponse)? {
                Collected::Part(frames) if running.is_some() => ready = frames,
                Collected::Part(_) => return Err(Refusal::NoResponse),
                Collected::Whole(frames) => {
                    // It may have waited for nothing but that its body is taken.
                    another_turn(&mut running).await;
                    if let Some(running) = running {
                        running.run_on(idle);
                    }
                    return Ok(whole(frames, |ready| GuestBody {
                        ready,
                        inner: None,
                        running: None,
                        exchange,
                        idle,
                        timer: LazyTimer::default(),
                        record,
                    }));
                }
            }
        }
        // Patience with the body begins with its head.
        exchange.moved();
        let body = GuestBody {
            ready,
            inner: Some(inner),
            running,
            exchange,
            idle,
            timer: LazyTimer::default(),
            record,
        };
        Ok(ResponseBody::Guest(Box::new(body)))
    }

    /// Whether all of the body may be there to be sent as one: of a guest that is gone; or that need
    /// not be for it, as of WASI 0.3, where writing does not wait for a reader.
    fn is_all_there(&self, running: &Option<Running>) -> bool {
        running.is_none() || matches!(self.code.handler, Handler::Wasi03(_))
    }
}

/// A guest whose turn was over when it had just responded is mostly about to end: then its response
/// can be sent whole, or refused if it is not.
async fn another_turn(running: &mut Option<Running>) {
    poll_fn(|cx| {
        if let Some(guest) = running
            && let Poll::Ready(ended) = guest.guest.poll(cx)
        {
            guest.ended(&ended);
            *running = None;
        }
        Poll::Ready(())
    })
    .await;
}

fn has_no_body(status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

enum Collected {
    /// With trailers at the end, perhaps.
    Whole(VecDeque<Frame<Bytes>>),
    /// The guest has to write more.
    Part(VecDeque<Frame<Bytes>>),
}

/// What is there of a body: a few chunks, as many as the guest could write unread. `None`: it broke
/// off.
fn collect(inner: &mut WasiBody, exchange: &Exchange) -> Option<Collected> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut frames = VecDeque::new();
    loop {
        match Pin::new(&mut *inner).poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => frames.push_back(frame),
            Poll::Ready(Some(Err(_))) => return None,
            Poll::Ready(None) if exchange.is_unfinished() => return None,
            Poll::Ready(None) => return Some(Collected::Whole(frames)),
            Poll::Pending => return Some(Collected::Part(frames)),
        }
    }
}

/// One buffer of all frames; trailers make it a body of its own.
fn whole(
    frames: VecDeque<Frame<Bytes>>,
    with_trailers: impl FnOnce(VecDeque<Frame<Bytes>>) -> GuestBody,
) -> ResponseBody {
    if frames.iter().any(Frame::is_trailers) {
        return ResponseBody::Guest(Box::new(with_trailers(frames)));
    }
    let mut chunks = frames
        .into_iter()
        .filter_map(|frame| frame.into_data().ok());
    let first = chunks.next().unwrap_or_default();
    let Some(second) = chunks.next() else {
        return ResponseBody::whole(first);
    };
    let mut whole = BytesMut::from(first);
    whole.extend_from_slice(&second);
    chunks.for_each(|chunk| whole.extend_from_slice(&chunk));
    ResponseBody::whole(whole.freeze())
}
