//! Objects of `shoal-store`, over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use shoal_protocol::{
    LiveIdentity, Role,
    client::{self, ConnectError},
    v1::{self, blobs_client::BlobsClient, read_object_response, write_object_request},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};

use super::calls::{AGAIN, CallError, Calls, Repeat, was_not_sent};
use crate::{
    BlobError, Blobs, Health, Reason, StoreId, StoreLimits, Usage,
    blob::{
        ByteRange, Content, ObjectInfo, ObjectPage, Opened, PIECE_BYTES, Place, Slots, check_asked,
        check_name, check_names, exactly, wire as blob_wire,
    },
    gate::CALLS_PER_STORE,
    limits::MAX_PAGE_KEYS,
    wire::{self, MAX_MESSAGE_BYTES, limits_to_wire},
};

/// Every call that carries no content ends by then.
const DEADLINE: Duration = Duration::from_secs(7);
/// A store that takes or gives no content for so long is given up.
const STALLED: Duration = Duration::from_secs(10);
/// Objects of one Store, and of all, that are being written by this node.
const WRITES: (usize, usize) = (32, 128);
/// Objects of one Store, and of all, that are being read by this node: as many as have room on a
/// connection though nobody takes their content.
const READS: (usize, usize) = (128, client::STREAMS);

/// The objects behind one `shoal-store`. No call takes for ever, whatever happens to the connection, which
/// is made again by itself.
pub struct RemoteBlobs {
    client: BlobsClient<Channel>,
    calls: Calls<BlobsClient<Channel>, BlobError>,
    writes: Slots,
    reads: Slots,
}

impl RemoteBlobs {
    /// The objects at `target` (`host:port`), opened as `identity`. Connects with the first call. Must be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(target: &str, identity: &LiveIdentity) -> Result<Self, ConnectError> {
        let channel = client::streaming_channel(target, Role::Store, identity)?;
        let client = BlobsClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Self {
            calls: Calls::new(client.clone(), DEADLINE, CALLS_PER_STORE),
            client,
            writes: Slots::new("written", WRITES.0, WRITES.1),
            reads: Slots::new("read", READS.0, READS.1),
        })
    }

    /// Sends an object, until the store has it or says why not.
    async fn send(&self, object: &v1::NewObject, source: &mut Source) -> Result<(), Failure> {
        let (sender, parts) = mpsc::channel(1);
        let first = write_object_request::Part::Object(object.clone());
        // The channel is empty.
        let _ = sender.try_send(message(first));
        let mut client = self.client.clone();
        let answer = client.write(ReceiverStream::new(parts));
        tokio::pin!(answer);
        tokio::select! {
            answered = &mut answer => answered.map(drop).map_err(Failure::of),
            fed = source.feed(sender) => {
                fed.map_err(Failure::Final)?;
                match timeout(STALLED, answer).await {
                    Ok(answered) => answered.map(drop).map_err(Failure::of),
                    Err(_) => Err(Failure::Final(silent())),
                }
            }
        }
    }
}

impl CallError for BlobError {
    fn of(status: &Status) -> Self {
        blob_wire::error(status)
    }

    fn unavailable(why: String) -> Self {
        Self::Unavailable(why)
    }
}

/// Why an object was not sent.
enum Failure {
    /// There was no connection to send anything on.
    NotSent(BlobError),
    Final(BlobError),
}

impl Failure {
    fn of(status: Status) -> Self {
        let error = blob_wire::error(&status);
        match was_not_sent(&status) {
            true => Self::NotSent(error),
            false => Self::Final(error),
        }
    }
}

/// Content that is being sent.
struct Source {
    content: Content,
    /// What comes next, if that is known.
    next: Option<write_object_request::Part>,
    /// Some of it is gone, and cannot be sent again.
    is_begun: bool,
}

impl Source {
    /// Sends the rest of the content and its end.
    async fn feed(&mut self, parts: mpsc::Sender<v1::WriteObjectRequest>) -> Result<(), BlobError> {
        loop {
            if self.next.is_none() {
                self.next = Some(match self.content.next().await {
                    Some(piece) => write_object_request::Part::Content(piece?),
                    None => write_object_request::Part::End(v1::EndOfObject {}),
                });
            }
            let room = match timeout(STALLED, parts.reserve()).await {
                Ok(Ok(room)) => room,
                // Nobody takes it any more: the answer says why.
                Ok(Err(_)) => return Ok(()),
                Err(_) => return Err(silent()),
            };
            let Some(part) = self.next.take() else {
                continue;
            };
            self.is_begun = true;
            let is_end = matches!(part, write_object_request::Part::End(_));
            room.send(message(part));
            if is_end {
                return Ok(());
            }
        }
    }
}

fn message(part: write_object_request::Part) -> v1::WriteObjectRequest {
    v1::WriteObjectRequest { part: Some(part) }
}

fn silent() -> BlobError {
    BlobError::unavailable("it did not answer within 10 s")
}

fn nonsense() -> BlobError {
    BlobError::unavailable("it gave an answer to another question")
}

/// The next part of an object.
async fn next(
    parts: &mut Streaming<v1::ReadObjectResponse>,
) -> Result<Option<read_object_response::Part>, BlobError> {
    match timeout(STALLED, parts.message()).await {
        Ok(Ok(message)) => Ok(message.and_then(|message| message.part)),
        Ok(Err(status)) => Err(blob_wire::error(&status)),
        Err(_) => Err(silent()),
    }
}

fn object(Place { store, name }: Place) -> v1::ObjectRequest {
    v1::ObjectRequest {
        store_id: store.to_string(),
        name,
    }
}

#[async_trait]
impl Blobs for RemoteBlobs {
    async fn read(
        &self,
        store: StoreId,
        name: String,
        range: ByteRange,
    ) -> Result<Opened, BlobError> {
        check_asked(&name)?;
        let slot = self.reads.enter(store)?;
        let request = v1::ReadObjectRequest {
            store_id: store.to_string(),
            name,
            first: range.first,
            last: range.last,
        };
        let mut parts = self
            .calls
            .run(
                store,
                Repeat::Always,
                request,
                |mut client, request| async move { client.read(request).await },
            )
            .await?;
        let Some(read_object_response::Part::Opened(opened)) = next(&mut parts).await? else {
            return Err(nonsense());
        };
        let info = blob_wire::info(opened.info.ok_or_else(nonsense)?);
        let pieces = stream::unfold((parts, slot), |(mut parts, slot)| async move {
            let piece = match next(&mut parts).await {
                Ok(Some(read_object_response::Part::Content(piece))) => Ok(piece),
                Ok(Some(read_object_response::Part::Opened(_))) => Err(nonsense()),
                Ok(None) => return None,
                Err(error) => Err(error),
            };
            Some((piece, (parts, slot)))
        });
        Ok(Opened {
            info,
            bytes: opened.bytes,
            content: exactly(opened.bytes, pieces.boxed()),
        })
    }

    async fn write(
        &self,
        store: StoreId,
        name: String,
        content: Content,
        limits: StoreLimits,
    ) -> Result<(), BlobError> {
        check_name(&name, limits)?;
        let _slot = self.writes.enter(store)?;
        let object = v1::NewObject {
            store_id: store.to_string(),
            name,
            limits: Some(limits_to_wire(limits)),
        };
        let mut source = Source {
            content,
            next: None,
            is_begun: false,
        };
        let until = Instant::now() + DEADLINE;
        loop {
            match self.send(&object, &mut source).await {
                Ok(()) => return Ok(()),
                Err(Failure::NotSent(_)) if !source.is_begun && Instant::now() < until => {
                    sleep(AGAIN).await;
                }
                Err(Failure::NotSent(error) | Failure::Final(error)) => return Err(error),
            }
        }
    }

    async fn info(&self, store: StoreId, name: String) -> Result<Option<ObjectInfo>, BlobError> {
        check_asked(&name)?;
        let request = object(Place { store, name });
        let info = self
            .calls
            .run(
                store,
                Repeat::Always,
                request,
                |mut client, request| async move { client.info(request).await },
            )
            .await?;
        Ok(info.info.map(blob_wire::info))
    }

    async fn list(
        &self,
        store: StoreId,
        after: Option<String>,
        limit: u32,
    ) -> Result<ObjectPage, BlobError> {
        let request = v1::ListObjectsRequest {
            store_id: store.to_string(),
            after: after.unwrap_or_default(),
            limit: limit.min(MAX_PAGE_KEYS),
        };
        check_asked(&request.after)?;
        let page = self
            .calls
            .run(
                store,
                Repeat::Always,
                request,
                |mut client, request| async move { client.list(request).await },
            )
            .await?;
        Ok(ObjectPage {
            names: page.names,
            more: page.more,
        })
    }

    async fn delete(&self, store: StoreId, names: Vec<String>) -> Result<(), BlobError> {
        check_names(&names)?;
        let request = v1::DeleteObjectsRequest {
            store_id: store.to_string(),
            names,
        };
        self.calls
            .run(
                store,
                Repeat::Unsent,
                request,
                |mut client, request| async move { client.delete(request).await },
            )
            .await
            .map(drop)
    }

    async fn copy(&self, from: Place, to: Place, limits: StoreLimits) -> Result<(), BlobError> {
        check_asked(&from.name)?;
        check_name(&to.name, limits)?;
        let store = to.store;
        let request = v1::CopyObjectRequest {
            from: Some(object(from)),
            to: Some(object(to)),
            limits: Some(limits_to_wire(limits)),
        };
        self.calls
            .run(
                store,
                Repeat::Unsent,
                request,
                |mut client, request| async move { client.copy(request).await },
            )
            .await
            .map(drop)
    }

    /// For an operator alone.
    async fn usage(&self, store: StoreId) -> Result<Usage, BlobError> {
        let request = v1::StoreRequest {
            store_id: store.to_string(),
            in_memory: false,
        };
        let usage = self
            .calls
            .run(
                store,
                Repeat::Always,
                request,
                |mut client, request| async move { client.usage(request).await },
            )
            .await?;
        Ok(Usage {
            keys: usage.keys,
            bytes: usage.bytes,
        })
    }

    /// Takes as long as the objects need; each step ends within 7 s.
    async fn clear(&self, store: StoreId) -> Result<(), BlobError> {
        let request = v1::ClearObjectsRequest {
            store_id: store.to_string(),
        };
        let mut more = true;
        while more {
            let step = |mut client: BlobsClient<Channel>, request| async move {
                client.clear(request).await
            };
            let cleared = self.calls.run(store, Repeat::Always, request.clone(), step);
            more = cleared.await?.more;
        }
        Ok(())
    }

    async fn health(&self) -> Health {
        let request = v1::HealthRequest { in_memory: false };
        let answer = self
            .calls
            .run(
                StoreId::NONE,
                Repeat::Always,
                request,
                |mut client, request| async move { client.health(request).await },
            )
            .await;
        match answer {
            Ok(answer) => wire::health_from_wire(answer),
            Err(error) => {
                let reason = match error {
                    BlobError::AccessDenied => Reason::CredentialsRefused,
                    _ => Reason::Unreachable,
                };
                Health::failing(reason, error.to_string())
            }
        }
    }

    fn bytes_of_a_write(&self) -> u64 {
        // A piece that waits, and one that is on its way.
        2 * PIECE_BYTES as u64
    }
}
