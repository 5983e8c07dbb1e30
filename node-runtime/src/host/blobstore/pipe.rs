//! Content on its way from a guest to a store: as much as fits waits until the store takes it.
//!
//! A guest may write before it says where to: then nobody takes anything yet, and what is more than fits
//! is refused, since the guest would wait for itself.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use shoal_stores::{
    BlobError,
    blob::{Content, PIECE_BYTES},
};
use tokio::sync::Notify;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// Bytes that fit while nobody takes them.
pub(super) const UNTAKEN: usize = 1 << 20;
/// Bytes that fit while somebody does.
const TAKEN: usize = 2 * PIECE_BYTES;

/// See the module.
#[derive(Default)]
pub(super) struct Pipe {
    state: Mutex<State>,
    more: Notify,
    room: Notify,
}

#[derive(Default)]
struct State {
    content: BytesMut,
    is_taken: bool,
    end: Option<End>,
    /// Nobody will take any more.
    is_gone: bool,
}

#[derive(Clone, Copy)]
enum End {
    Whole,
    Abandoned,
}

impl State {
    /// Bytes that may be written now.
    fn room(&self) -> StreamResult<usize> {
        if self.end.is_some() || self.is_gone {
            return Err(StreamError::Closed);
        }
        let fits = if self.is_taken { TAKEN } else { UNTAKEN };
        let room = fits.saturating_sub(self.content.len());
        if room == 0 && !self.is_taken {
            return Err(StreamError::LastOperationFailed(wasmtime::format_err!(
                "{UNTAKEN} bytes were written before `write-data` said what they become; call it first"
            )));
        }
        Ok(room)
    }
}

impl Pipe {
    /// The content is whole.
    pub(super) fn finish(&self) {
        self.end(End::Whole);
    }

    /// There will be no more content, though it is not whole. One that is whole stays so.
    pub(super) fn abandon(&self) {
        self.end(End::Abandoned);
    }

    fn end(&self, end: End) {
        self.state.lock().end.get_or_insert(end);
        self.more.notify_one();
        self.room.notify_one();
    }

    /// What is written, as it comes. To be taken once.
    pub(super) fn content(self: &Arc<Self>) -> Content {
        self.state.lock().is_taken = true;
        self.room.notify_one();
        let taker = Taker(Arc::clone(self));
        stream::unfold(taker, |taker| async move {
            let piece = taker.0.next().await?;
            Some((piece, taker))
        })
        .boxed()
    }

    async fn next(&self) -> Option<Result<Bytes, BlobError>> {
        loop {
            {
                let mut state = self.state.lock();
                if !state.content.is_empty() {
                    let bytes = state.content.len().min(PIECE_BYTES);
                    let piece = state.content.split_to(bytes).freeze();
                    self.room.notify_one();
                    return Some(Ok(piece));
                }
                match state.end {
                    Some(End::Whole) => return None,
                    Some(End::Abandoned) => {
                        let why = "the value was dropped before it was finished".to_owned();
                        return Some(Err(BlobError::Incomplete(why)));
                    }
                    None => {}
                }
            }
            self.more.notified().await;
        }
    }
}

/// Who takes the content.
struct Taker(Arc<Pipe>);

impl Drop for Taker {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.is_gone = true;
        state.content = BytesMut::new();
        drop(state);
        self.0.room.notify_one();
    }
}

/// The guest's end.
pub(super) struct Body(pub(super) Arc<Pipe>);

#[async_trait::async_trait]
impl Pollable for Body {
    async fn ready(&mut self) {
        while matches!(self.0.state.lock().room(), Ok(0)) {
            self.0.room.notified().await;
        }
    }
}

impl OutputStream for Body {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut state = self.0.state.lock();
        if bytes.len() > state.room()? {
            return Err(StreamError::trap(
                "more was written than `check-write` allows",
            ));
        }
        state.content.extend_from_slice(&bytes);
        drop(state);
        self.0.more.notify_one();
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        let state = self.0.state.lock();
        match state.end.is_some() || state.is_gone {
            true => Err(StreamError::Closed),
            false => Ok(()),
        }
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.0.state.lock().room()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipe() -> (Arc<Pipe>, Body) {
        let pipe = Arc::new(Pipe::default());
        (Arc::clone(&pipe), Body(pipe))
    }

    #[tokio::test]
    async fn what_is_written_before_and_after_it_is_taken_comes_in_order() {
        let (pipe, mut body) = pipe();
        body.write(Bytes::from_static(b"before ")).unwrap();
        let content = pipe.content();
        body.write(Bytes::from_static(b"after")).unwrap();
        pipe.finish();
        let pieces: Vec<_> = content.map(Result::unwrap).collect().await;
        assert_eq!(pieces.concat(), b"before after");
        assert!(matches!(body.check_write(), Err(StreamError::Closed)));
    }

    #[tokio::test]
    async fn more_than_fits_is_refused_before_it_is_taken_and_waits_afterwards() {
        let (pipe, mut body) = pipe();
        body.write(Bytes::from(vec![0; UNTAKEN])).unwrap();
        body.ready().await;
        let error = body.check_write().unwrap_err();
        assert!(error.to_string().contains("write-data"), "{error}");
        let mut content = pipe.content();
        assert_eq!(body.check_write().unwrap(), 0);
        let mut waiting = Box::pin(async move {
            body.ready().await;
            body.check_write().unwrap()
        });
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        let mut taken = 0;
        while taken < UNTAKEN {
            taken += content.next().await.unwrap().unwrap().len();
        }
        assert_eq!(waiting.await, TAKEN);
    }

    #[tokio::test]
    async fn an_end_that_is_none_is_an_error_and_nobody_waits_for_who_is_gone() {
        let (pipe, mut body) = pipe();
        let mut content = pipe.content();
        body.write(Bytes::from(vec![0; TAKEN])).unwrap();
        pipe.abandon();
        pipe.finish();
        let mut last = content.next().await;
        while let Some(Ok(_)) = last {
            last = content.next().await;
        }
        assert!(matches!(last, Some(Err(BlobError::Incomplete(_)))));

        let (pipe, mut body) = self::pipe();
        drop(pipe.content());
        body.ready().await;
        assert!(matches!(body.check_write(), Err(StreamError::Closed)));
    }
}
