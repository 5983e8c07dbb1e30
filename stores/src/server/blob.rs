//! The gRPC service in front of objects.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};
use shoal_protocol::{
    Role,
    server::require,
    v1::{self, blobs_server, read_object_response, write_object_request},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{
    Admission, PURGE,
    known::Known,
    operations::{self, Operations},
    parse,
};
use crate::{
    BlobError, Blobs,
    blob::{ByteRange, Content, Opened, PIECE_BYTES, Place, wire as blob_wire},
    wire::{self, MAX_MESSAGE_BYTES},
};

/// Content of which nothing comes, or nothing is taken, for so long is given up.
const STALLED: Duration = Duration::from_secs(60);

/// The service, to add to a tonic server whose connections are those of `shoal_protocol::server`.
pub type BlobsService = blobs_server::BlobsServer<BlobsServer>;

/// Answers runtimes, for the Stores that are granted to their pods.
pub struct BlobsServer {
    objects: Arc<dyn Blobs>,
    admission: Admission,
    operations: Arc<Operations>,
    health: Known,
}

type Answer<T> = Result<Response<T>, Status>;

impl BlobsServer {
    /// A service in front of `objects`, that counts into `operations`.
    pub fn service(
        objects: Arc<dyn Blobs>,
        admission: Admission,
        operations: Arc<Operations>,
    ) -> BlobsService {
        blobs_server::BlobsServer::new(Self {
            objects,
            admission,
            operations,
            health: Known::default(),
        })
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The object that a request names, if its caller may open that Store.
    async fn place<T>(
        &self,
        request: &Request<T>,
        object: Option<&v1::ObjectRequest>,
    ) -> Result<Place, Status> {
        let object = object.ok_or_else(|| Status::invalid_argument("an object is not named"))?;
        Ok(Place {
            store: self.admission.store(request, &object.store_id).await?,
            name: object.name.clone(),
        })
    }

    async fn write(
        &self,
        request: Request<Streaming<v1::WriteObjectRequest>>,
    ) -> Answer<v1::WriteObjectResponse> {
        let (metadata, extensions, mut messages) = request.into_parts();
        let caller = Request::from_parts(metadata, extensions, ());
        require(&caller, &[Role::Runtime])?;
        let Some(write_object_request::Part::Object(object)) = next(&mut messages).await? else {
            return Err(Status::invalid_argument(
                "what is to be written comes first",
            ));
        };
        let store = self.admission.store(&caller, &object.store_id).await?;
        let limits = self.admission.object_limits(store, object.limits);
        self.objects
            .write(store, object.name, content(messages), limits)
            .await?;
        Ok(Response::new(v1::WriteObjectResponse {}))
    }
}

/// The next part of what is written. The end of the messages is none.
async fn next(
    messages: &mut Streaming<v1::WriteObjectRequest>,
) -> Result<Option<write_object_request::Part>, BlobError> {
    let incomplete = |why: &str| BlobError::Incomplete(why.to_owned());
    match timeout(STALLED, messages.message()).await {
        Ok(Ok(message)) => Ok(message.and_then(|message| message.part)),
        Ok(Err(_)) => Err(incomplete("the content was cut")),
        Err(_) => Err(incomplete("nothing came for 60 s")),
    }
}

/// Content up to its end, which has to come.
fn content(messages: Streaming<v1::WriteObjectRequest>) -> Content {
    let pieces = stream::unfold(Some(messages), |messages| async move {
        let mut messages = messages?;
        let cut = |why: &str| Some((Err(BlobError::Incomplete(why.to_owned())), None));
        match next(&mut messages).await {
            Ok(Some(write_object_request::Part::Content(piece))) if piece.len() <= PIECE_BYTES => {
                Some((Ok(piece), Some(messages)))
            }
            Ok(Some(write_object_request::Part::End(_))) => None,
            Ok(None) => cut("the content was cut"),
            Ok(Some(_)) => cut("the content is not as it should be"),
            Err(error) => Some((Err(error), None)),
        }
    });
    pieces.boxed()
}

type Parts = BoxStream<'static, Result<v1::ReadObjectResponse, Status>>;

/// An object on its way: first what it is, then its content, for as long as somebody takes it.
fn parts(opened: Opened) -> Parts {
    let part = |part| v1::ReadObjectResponse { part: Some(part) };
    let first = read_object_response::Part::Opened(v1::OpenedObject {
        info: Some(blob_wire::info_to_wire(opened.info)),
        bytes: opened.bytes,
    });
    let (sender, taken) = mpsc::channel(1);
    let is_cut = Arc::new(AtomicBool::new(false));
    let cut = Arc::clone(&is_cut);
    tokio::spawn(async move {
        let mut content = opened.content;
        while let Some(piece) = content.next().await {
            let piece = piece.map(|piece| part(read_object_response::Part::Content(piece)));
            match timeout(STALLED, sender.send(piece.map_err(Status::from))).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => return cut.store(true, Ordering::Release),
            }
        }
    });
    let last =
        stream::once(async move { is_cut.load(Ordering::Acquire) }).filter_map(async |is_cut| {
            let error = BlobError::unavailable("its content was not read for 60 s");
            is_cut.then(|| Err(Status::from(error)))
        });
    stream::once(async move { Ok(part(first)) })
        .chain(ReceiverStream::new(taken))
        .chain(last)
        .boxed()
}

#[async_trait]
impl blobs_server::Blobs for BlobsServer {
    type ReadStream = Parts;

    async fn read(&self, request: Request<v1::ReadObjectRequest>) -> Answer<Parts> {
        let work = async {
            let store = self
                .admission
                .store(&request, &request.get_ref().store_id)
                .await?;
            let v1::ReadObjectRequest {
                name, first, last, ..
            } = request.into_inner();
            let range = ByteRange { first, last };
            let opened = self.objects.read(store, name, range).await?;
            Ok(Response::new(parts(opened)))
        };
        self.operations
            .counted(operations::Name::ReadObject, work)
            .await
    }

    async fn write(
        &self,
        request: Request<Streaming<v1::WriteObjectRequest>>,
    ) -> Answer<v1::WriteObjectResponse> {
        let work = self.write(request);
        self.operations
            .counted(operations::Name::WriteObject, work)
            .await
    }

    async fn info(&self, request: Request<v1::ObjectRequest>) -> Answer<v1::ObjectInfoResponse> {
        let work = async {
            let place = self.place(&request, Some(request.get_ref())).await?;
            let info = self.objects.info(place.store, place.name).await?;
            let info = info.map(blob_wire::info_to_wire);
            Ok(Response::new(v1::ObjectInfoResponse { info }))
        };
        self.operations
            .counted(operations::Name::ObjectInfo, work)
            .await
    }

    async fn list(
        &self,
        request: Request<v1::ListObjectsRequest>,
    ) -> Answer<v1::ListObjectsResponse> {
        let work = async {
            let store = self
                .admission
                .store(&request, &request.get_ref().store_id)
                .await?;
            let v1::ListObjectsRequest { after, limit, .. } = request.into_inner();
            let after = (!after.is_empty()).then_some(after);
            let page = self.objects.list(store, after, limit).await?;
            Ok(Response::new(v1::ListObjectsResponse {
                names: page.names,
                more: page.more,
            }))
        };
        self.operations
            .counted(operations::Name::ListObjects, work)
            .await
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteObjectsRequest>,
    ) -> Answer<v1::DeleteObjectsResponse> {
        let work = async {
            let store = self
                .admission
                .store(&request, &request.get_ref().store_id)
                .await?;
            self.objects
                .delete(store, request.into_inner().names)
                .await?;
            Ok(Response::new(v1::DeleteObjectsResponse {}))
        };
        self.operations
            .counted(operations::Name::DeleteObjects, work)
            .await
    }

    async fn copy(
        &self,
        request: Request<v1::CopyObjectRequest>,
    ) -> Answer<v1::CopyObjectResponse> {
        let work = async {
            let from = self
                .place(&request, request.get_ref().from.as_ref())
                .await?;
            let to = self.place(&request, request.get_ref().to.as_ref()).await?;
            let limits = request.into_inner().limits;
            let limits = self.admission.object_limits(to.store, limits);
            self.objects.copy(from, to, limits).await?;
            Ok(Response::new(v1::CopyObjectResponse {}))
        };
        self.operations
            .counted(operations::Name::CopyObject, work)
            .await
    }

    async fn clear(
        &self,
        request: Request<v1::ClearObjectsRequest>,
    ) -> Answer<v1::ClearObjectsResponse> {
        let work = async {
            let store = self
                .admission
                .store(&request, &request.get_ref().store_id)
                .await?;
            // Begun again it meets only what is left.
            let more = match timeout(PURGE, self.objects.clear(store)).await {
                Ok(result) => result.map(|()| false)?,
                Err(_) => true,
            };
            Ok(Response::new(v1::ClearObjectsResponse { more }))
        };
        self.operations
            .counted(operations::Name::ClearObjects, work)
            .await
    }

    async fn usage(&self, request: Request<v1::StoreRequest>) -> Answer<v1::UsageResponse> {
        let work = async {
            require(&request, &[Role::Operator])?;
            let store = parse(&request.get_ref().store_id)?;
            let usage = self.objects.usage(store).await?;
            Ok(Response::new(v1::UsageResponse {
                keys: usage.keys,
                bytes: usage.bytes,
            }))
        };
        self.operations.counted(operations::Name::Usage, work).await
    }

    async fn health(&self, request: Request<v1::HealthRequest>) -> Answer<v1::HealthResponse> {
        let work = async {
            require(&request, &[Role::Runtime, Role::Operator])?;
            let health = self.health.or(self.objects.health()).await;
            Ok(Response::new(wire::health_to_wire(health)))
        };
        self.operations
            .counted(operations::Name::Health, work)
            .await
    }
}
