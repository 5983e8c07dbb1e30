//! Deadlines of a connection: for the head of a request, between requests, and for a client that
//! does not take its response.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::serve::LazyTimer;

/// Longest time from the first byte of a request's head to its last.
const HEAD: Duration = Duration::from_secs(10);
/// Longest time between two requests.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(90);

/// What happens on a connection, as its requests and its socket see it.
#[derive(Default)]
pub(crate) struct Activity {
    requests: AtomicU32,
    /// When the head that is being read began; 0: none is.
    head: AtomicU64,
    /// When the last request ended, or the connection began.
    quiet: AtomicU64,
}

/// A request that is being answered; over when dropped.
pub(crate) struct ActiveRequest(Arc<Activity>);

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let activity = Self::default();
        activity.quiet.store(now(), Ordering::Relaxed);
        Arc::new(activity)
    }

    pub(super) fn request(self: &Arc<Self>) -> ActiveRequest {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.head.store(0, Ordering::Relaxed);
        ActiveRequest(Arc::clone(self))
    }

    /// How much longer nothing may come, while no request is being answered. `None`: one is.
    pub(super) fn patience(&self) -> Option<Duration> {
        if self.requests.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let head = self.head.load(Ordering::Relaxed);
        let (since, limit) = match head {
            0 => (self.quiet.load(Ordering::Relaxed), KEEP_ALIVE),
            head => (head, HEAD),
        };
        Some(limit.saturating_sub(Duration::from_millis(now().saturating_sub(since))))
    }

    fn bytes_came(&self) {
        if self.requests.load(Ordering::Relaxed) == 0 && self.head.load(Ordering::Relaxed) == 0 {
            self.head.store(now(), Ordering::Relaxed);
        }
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.quiet.store(now(), Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Milliseconds, never 0.
fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed().as_millis();
    u64::try_from(elapsed).unwrap_or(u64::MAX).saturating_add(1)
}

/// The socket of a connection, with its deadlines.
pub(super) struct GuardedSocket {
    inner: TokioIo<TcpStream>,
    activity: Arc<Activity>,
    /// HTTP/2 sends frames between requests; its idleness is judged elsewhere.
    reads_heads: bool,
    reading: LazyTimer,
    writing: LazyTimer,
    write_limit: Duration,
    /// When a write that the client does not take began to wait.
    stalled: Option<Instant>,
}

impl GuardedSocket {
    /// A client that takes nothing for `write_limit` is left.
    pub(super) fn new(
        stream: TcpStream,
        activity: Arc<Activity>,
        reads_heads: bool,
        write_limit: Duration,
    ) -> Self {
        Self {
            inner: TokioIo::new(stream),
            activity,
            reads_heads,
            reading: LazyTimer::default(),
            writing: LazyTimer::default(),
            write_limit,
            stalled: None,
        }
    }

    fn written(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let since = *self.stalled.get_or_insert_with(Instant::now);
        let limit = self.write_limit;
        ready!(
            self.writing
                .poll(cx, || limit.saturating_sub(since.elapsed()))
        );
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Read for GuardedSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Poll::Ready(read) = Pin::new(&mut this.inner).poll_read(cx, buffer) {
            if this.reads_heads {
                this.activity.bytes_came();
            }
            return Poll::Ready(read);
        }
        if !this.reads_heads || this.activity.patience().is_none() {
            return Poll::Pending;
        }
        let activity = &this.activity;
        // A request that has begun meanwhile has deadlines of its own.
        ready!(
            this.reading
                .poll(cx, || activity.patience().unwrap_or(KEEP_ALIVE))
        );
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Write for GuardedSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(cx, bytes);
        this.written(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write_vectored(cx, pieces);
        this.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::{io::AsyncWriteExt as _, net::TcpListener};

    use super::*;

    /// How long a connection may be quiet after a client sent something that began no request.
    async fn patience(reads_heads: bool) -> Duration {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let activity = Activity::new();
        let mut socket = GuardedSocket::new(stream, Arc::clone(&activity), reads_heads, KEEP_ALIVE);
        client.write_all(b"frame").await.unwrap();
        let mut bytes = [0; 16];
        let mut buffer = hyper::rt::ReadBuf::new(&mut bytes);
        poll_fn(|cx| Pin::new(&mut socket).poll_read(cx, buffer.unfilled()))
            .await
            .unwrap();
        assert_eq!(buffer.filled(), b"frame");
        activity.patience().unwrap()
    }

    #[tokio::test]
    async fn a_frame_between_requests_is_no_head_that_must_end_soon() {
        assert!(patience(true).await <= HEAD, "the first bytes of a head");
        assert!(patience(false).await > HEAD, "a ping, or settings");
    }
}
