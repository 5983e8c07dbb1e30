//! A guest's standard output or error.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use super::{OutputRecord, Stream, lines::Lines};
use crate::{app::Component, serve::RequestId};

/// Bytes that one write may have; guests write more in several.
const WRITE: usize = 64 << 10;

/// Makes the streams of one instance; all of them share the line that is not whole yet.
pub(in crate::host) struct GuestOutput(Arc<Printer>);

struct Printer {
    component: Arc<Component>,
    request: Arc<RequestId>,
    stream: Stream,
    lines: Mutex<Lines>,
}

/// One handle of the guest.
struct Handle(Arc<Printer>);

impl GuestOutput {
    pub(in crate::host) fn new(
        component: Arc<Component>,
        request: Arc<RequestId>,
        stream: Stream,
    ) -> Self {
        Self(Arc::new(Printer {
            component,
            request,
            stream,
            lines: Mutex::default(),
        }))
    }
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Handle(Arc::clone(&self.0)))
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Handle(Arc::clone(&self.0)))
    }
}

impl Printer {
    fn write(&self, bytes: &[u8]) {
        self.lines.lock().push(bytes, |line| self.print(line));
    }

    fn print(&self, message: &str) {
        let app = &self.component.app;
        let Some(dropped) = app.budget.take(message.len(), Instant::now()) else {
            return;
        };
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let taken = app.sink.line(&OutputRecord {
            time: u64::try_from(since.as_millis()).unwrap_or_default(),
            namespace: &app.name.namespace,
            app: &app.name.name,
            component: &self.component.name,
            request: self.request.as_str(),
            stream: self.stream,
            message,
            dropped,
        });
        if !taken {
            app.budget.lost(dropped);
        }
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        let mut lines = std::mem::take(&mut *self.lines.lock());
        lines.finish(|line| self.print(line));
    }
}

#[async_trait::async_trait]
impl Pollable for Handle {
    async fn ready(&mut self) {}
}

impl OutputStream for Handle {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE)
    }
}

impl AsyncWrite for Handle {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = bytes.get(..WRITE).unwrap_or(bytes);
        self.0.write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
