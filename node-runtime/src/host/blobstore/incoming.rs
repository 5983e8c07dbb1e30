//! Values that a guest reads.

use bytes::Bytes;
use futures::StreamExt;
use shoal_stores::{BlobError, blob::Content};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynInputStream, InputStream, Pollable, StreamError, StreamResult};

use super::{BlobsView, Open, Outcome, bindings::types::HostIncomingValue, said};
use crate::host::HOSTCALL_BYTES;

/// Content of an object, or of a part of one, that is open.
pub struct IncomingValue {
    pub(super) bytes: u64,
    pub(super) content: Content,
    pub(super) open: Open,
}

impl HostIncomingValue for BlobsView<'_> {
    async fn incoming_value_consume_sync(
        &mut self,
        value: Resource<IncomingValue>,
    ) -> Outcome<Vec<u8>> {
        let value = self.table.delete(value)?;
        said(self.collect(value).await)
    }

    async fn incoming_value_consume_async(
        &mut self,
        value: Resource<IncomingValue>,
    ) -> Outcome<Resource<DynInputStream>> {
        let value = self.table.delete(value)?;
        let stream: DynInputStream = Box::new(ContentStream {
            content: value.content,
            piece: Bytes::new(),
            end: None,
            _open: value.open,
        });
        self.keep(Ok(stream))
    }

    async fn size(&mut self, value: Resource<IncomingValue>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&value)?.bytes)
    }

    async fn drop(&mut self, value: Resource<IncomingValue>) -> wasmtime::Result<()> {
        self.table.delete(value)?;
        Ok(())
    }
}

impl BlobsView<'_> {
    async fn collect(&mut self, mut value: IncomingValue) -> Result<Vec<u8>, BlobError> {
        let most = HOSTCALL_BYTES;
        let bytes = usize::try_from(value.bytes).unwrap_or(usize::MAX);
        if bytes > most {
            return Err(BlobError::LimitExceeded(format!(
                "the value has {bytes} bytes; at most {most} can be had at once: use \
                 `incoming-value-consume-async`, or `get-data` for a part"
            )));
        }
        // Until the guest has its copy, and makes its next call.
        self.operations.pass(bytes)?;
        let mut all = Vec::with_capacity(bytes);
        while let Some(piece) = value.content.next().await {
            all.extend_from_slice(&piece?);
        }
        Ok(all)
    }
}

/// Content as the guest reads it.
struct ContentStream {
    content: Content,
    piece: Bytes,
    /// How the content ended, once it did.
    end: Option<Result<(), BlobError>>,
    _open: Open,
}

#[async_trait::async_trait]
impl Pollable for ContentStream {
    async fn ready(&mut self) {
        while self.piece.is_empty() && self.end.is_none() {
            match self.content.next().await {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => self.end = Some(Err(error)),
                None => self.end = Some(Ok(())),
            }
        }
    }
}

#[async_trait::async_trait]
impl InputStream for ContentStream {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if !self.piece.is_empty() {
            return Ok(self.piece.split_to(size.min(self.piece.len())));
        }
        match self.end.replace(Ok(())) {
            Some(Ok(())) => Err(StreamError::Closed),
            Some(Err(error)) => Err(StreamError::LastOperationFailed(wasmtime::format_err!(
                "{error}"
            ))),
            None => {
                self.end = None;
                Ok(Bytes::new())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;
    use crate::host::counted::Counted;

    fn stream(pieces: Vec<Result<Bytes, BlobError>>) -> ContentStream {
        ContentStream {
            content: stream::iter(pieces).boxed(),
            piece: Bytes::new(),
            end: None,
            _open: Counted::default().one_more(1).unwrap(),
        }
    }

    #[tokio::test]
    async fn content_is_read_as_asked_for_and_ends_once() {
        let pieces = vec![Ok(Bytes::from_static(b"one")), Ok(Bytes::from_static(b"2"))];
        let mut stream = stream(pieces);
        assert!(stream.read(9).unwrap().is_empty(), "nothing is there yet");
        assert_eq!(stream.blocking_read(2).await.unwrap(), "on");
        assert_eq!(stream.blocking_read(9).await.unwrap(), "e");
        assert_eq!(stream.blocking_read(9).await.unwrap(), "2");
        for _ in 0..2 {
            let end = stream.blocking_read(9).await;
            assert!(matches!(end, Err(StreamError::Closed)));
        }
    }

    #[tokio::test]
    async fn content_that_is_cut_is_no_end() {
        let mut stream = stream(vec![Err(BlobError::NotFound)]);
        let error = stream.blocking_read(9).await.unwrap_err();
        assert!(matches!(error, StreamError::LastOperationFailed(_)));
        let end = stream.blocking_read(9).await;
        assert!(matches!(end, Err(StreamError::Closed)));
    }
}
