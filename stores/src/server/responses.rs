//! What answers hold in memory until they are sent, of all callers together.
//!
//! A caller has a part of it, so that one that reads slowly, or not at all, holds up no other.
//! Room is made before a backend looks, for the largest answer that it may give: a small question may
//! have a large one, and many of them would be in memory before the first is sent.

use std::{
    any::Any,
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use prost::Message;
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tonic::{
    Response, Status,
    body::Body,
    codegen::{BoxFuture, Bytes, Service, http},
    server::NamedService,
};

use crate::{KeyValueError, MAX_BYTES_PER_CALL};

/// Bytes of all answers that are not sent yet.
const BUDGET: usize = 12 * MAX_BYTES_PER_CALL;
/// Of these, those to one caller.
const SHARE: usize = 3 * MAX_BYTES_PER_CALL;
/// What is counted.
const UNIT: usize = 1024;
/// Longest wait for room; a call's own deadline is no longer.
const PATIENCE: Duration = Duration::from_secs(4);

/// See the module.
#[derive(Debug)]
pub(super) struct Responses {
    all: Arc<Semaphore>,
    /// By pod: of those that wait for room, or have some.
    callers: Mutex<HashMap<String, Weak<Semaphore>>>,
}

impl Default for Responses {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(BUDGET / UNIT)),
            callers: Mutex::default(),
        }
    }
}

/// Room for one answer.
#[derive(Debug)]
pub(super) struct Room {
    /// Of the caller's share.
    share: OwnedSemaphorePermit,
    all: OwnedSemaphorePermit,
}

/// Room that is taken until the last clone is gone.
#[derive(Clone)]
struct Taken(#[expect(dead_code, reason = "it works by being dropped")] Arc<dyn Any + Send + Sync>);

impl Responses {
    /// Waits for room for an answer of at most `most` bytes to the pod `caller`.
    pub(super) async fn room(&self, caller: &str, most: usize) -> Result<Room, Status> {
        let wanted = units(most.min(MAX_BYTES_PER_CALL));
        let (all, share) = (self.all.clone(), self.share(caller));
        // Its own first: who waits for that holds nothing that others could use.
        let room = async {
            let share = share.acquire_many_owned(wanted).await?;
            let all = all.acquire_many_owned(wanted).await?;
            Ok::<_, AcquireError>(Room { share, all })
        };
        match timeout(PATIENCE, room).await {
            Ok(Ok(room)) => Ok(room),
            // They are never closed.
            Ok(Err(_)) | Err(_) => {
                let why = "too many answers are on their way".to_owned();
                Err(KeyValueError::Unavailable(why).into())
            }
        }
    }

    fn share(&self, caller: &str) -> Arc<Semaphore> {
        let mut callers = self.callers.lock();
        if let Some(share) = callers.get(caller).and_then(Weak::upgrade) {
            return share;
        }
        callers.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(SHARE / UNIT));
        callers.insert(caller.to_owned(), Arc::downgrade(&share));
        share
    }
}

/// An answer whose room was made where it was found; it is kept until the answer is sent.
pub(super) fn hold<T>(room: Option<Arc<OwnedSemaphorePermit>>, answer: T) -> Response<T> {
    let mut response = Response::new(answer);
    if let Some(room) = room {
        response.extensions_mut().insert(Taken(room));
    }
    response
}

impl Room {
    /// The answer, which keeps as much of this room as it needs until it is sent.
    pub(super) fn hold<T: Message>(mut self, answer: T) -> Response<T> {
        let needed = units(answer.encoded_len()) as usize;
        for permit in [&mut self.share, &mut self.all] {
            let spare = permit.num_permits().saturating_sub(needed);
            drop(permit.split(spare));
        }
        let mut response = Response::new(answer);
        response.extensions_mut().insert(Taken(Arc::new(self)));
        response
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes / UNIT + 1).unwrap_or(u32::MAX)
}

/// A service whose answers keep their room until their bodies are gone.
#[derive(Clone, Debug)]
pub struct Holding<S>(pub(super) S);

impl<S: NamedService> NamedService for Holding<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Holding<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answered = self.0.call(request);
        Box::pin(async move {
            let mut response = answered.await?;
            Ok(match response.extensions_mut().remove::<Taken>() {
                Some(taken) => response.map(|body| {
                    Body::new(HeldBody {
                        body,
                        _taken: taken,
                    })
                }),
                None => response,
            })
        })
    }
}

struct HeldBody {
    body: Body,
    _taken: Taken,
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use shoal_protocol::v1;

    use super::*;

    fn answer(bytes: usize) -> v1::ValuesResponse {
        let data = vec![1; bytes].into();
        v1::ValuesResponse {
            values: vec![v1::Value { found: true, data }],
        }
    }

    #[tokio::test]
    async fn an_answer_keeps_what_it_needs_until_its_body_is_gone() {
        let responses = Responses::default();
        let free = || responses.all.available_permits();
        let all = free();
        let room = responses.room("pod", MAX_BYTES_PER_CALL).await.unwrap();
        assert!(free() <= all - MAX_BYTES_PER_CALL / UNIT);
        let response = room.hold(answer(UNIT));
        assert!(free() >= all - 2 && free() < all);

        let mut response = response;
        let taken = response.extensions_mut().remove::<Taken>().unwrap();
        let body = Body::new(HeldBody {
            body: Body::empty(),
            _taken: taken,
        });
        drop(body);
        assert_eq!(free(), all);
    }

    #[tokio::test]
    async fn what_does_not_fit_waits_until_something_is_sent() {
        let responses = Responses::default();
        let mut held = Vec::new();
        for number in 0.. {
            if responses.all.available_permits() <= MAX_BYTES_PER_CALL / UNIT {
                break;
            }
            let pod = number.to_string();
            held.push(responses.room(&pod, MAX_BYTES_PER_CALL).await.unwrap());
        }
        let mut waiting = Box::pin(responses.room("another", MAX_BYTES_PER_CALL));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        held.pop();
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn a_caller_that_reads_nothing_holds_up_no_other() {
        let responses = Responses::default();
        let mut waiting = Vec::new();
        let mut held = Vec::new();
        for _ in 0..100 {
            let mut room = Box::pin(responses.room("slow", MAX_BYTES_PER_CALL));
            match futures::poll!(room.as_mut()) {
                Poll::Ready(room) => held.push(room.unwrap()),
                Poll::Pending => waiting.push(room),
            }
        }
        assert!(!held.is_empty() && !waiting.is_empty());
        for number in 0..4 {
            let pod = number.to_string();
            responses.room(&pod, MAX_BYTES_PER_CALL).await.unwrap();
        }
        assert_eq!(
            responses.callers.lock().len(),
            2,
            "those that hold nothing are forgotten"
        );
        drop(held);
        waiting.swap_remove(0).await.unwrap();
    }
}
