//! What answers hold in memory until they are sent, of all callers together.
//!
//! Room is made before a backend looks, for the largest answer that it may give: a small question may
//! have a large one, and many of them would be in memory before the first is sent.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Frame, SizeHint};
use prost::Message;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
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
/// What is counted.
const UNIT: usize = 1024;
/// Longest wait for room; a call's own deadline is no longer.
const PATIENCE: Duration = Duration::from_secs(4);

/// See the module.
#[derive(Debug)]
pub(super) struct Responses(Arc<Semaphore>);

impl Default for Responses {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET / UNIT)))
    }
}

/// Room for one answer.
#[derive(Debug)]
pub(super) struct Room(OwnedSemaphorePermit);

/// Room that is taken until the last clone is gone.
#[derive(Clone)]
struct Taken(#[expect(dead_code, reason = "it works by being dropped")] Arc<OwnedSemaphorePermit>);

impl Responses {
    /// Waits for room for an answer of at most `most` bytes.
    pub(super) async fn room(&self, most: usize) -> Result<Room, Status> {
        let wanted = units(most.min(MAX_BYTES_PER_CALL));
        let permit = self.0.clone().acquire_many_owned(wanted);
        match timeout(PATIENCE, permit).await {
            Ok(Ok(permit)) => Ok(Room(permit)),
            // It is never closed.
            Ok(Err(_)) | Err(_) => {
                let why = "too many answers are on their way".to_owned();
                Err(KeyValueError::Unavailable(why).into())
            }
        }
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
        let spare = self
            .0
            .num_permits()
            .saturating_sub(units(answer.encoded_len()) as usize);
        drop(self.0.split(spare));
        let mut response = Response::new(answer);
        response.extensions_mut().insert(Taken(Arc::new(self.0)));
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
        let free = || responses.0.available_permits();
        let all = free();
        let room = responses.room(MAX_BYTES_PER_CALL).await.unwrap();
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
        while responses.0.available_permits() > MAX_BYTES_PER_CALL / UNIT {
            held.push(responses.room(MAX_BYTES_PER_CALL).await.unwrap());
        }
        let mut waiting = Box::pin(responses.room(MAX_BYTES_PER_CALL));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        held.pop();
        waiting.await.unwrap();
    }
}
