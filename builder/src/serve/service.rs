//! The services `Builder` and `Code`.

use std::{sync::Arc, time::Duration};

use shoal_artifact::Digest;
use shoal_engine::EngineKey;
use shoal_protocol::{
    ClientAuth, Grants, LiveIdentity, Role, TlsError, server,
    v1::{
        self, build_response::Outcome, builder_server::BuilderServer, code_chunk::Part,
        code_server::CodeServer,
    },
};
use tokio::{io::AsyncReadExt as _, sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::convert;
use crate::{BuilderHandle, Code};

/// An assignment may reach a runtime before the grant that goes with it reaches us.
const GRANT_PATIENCE: Duration = Duration::from_secs(3);
/// A reader that takes no chunk for so long is gone.
const CHUNK_DEADLINE: Duration = Duration::from_secs(60);
const CHUNK_BYTES: usize = 512 << 10;
/// Largest request: pull secrets and certificate authorities.
const REQUEST_BYTES: usize = 32 << 20;
const MAX_ENGINE_KEYS: usize = 16;

/// Who may ask for what.
#[derive(Clone, Debug)]
pub enum Access {
    /// Roles by certificate, code by grants.
    Cluster(Arc<Grants>),
    /// Whoever can open the socket.
    Local,
}

/// Answers for a builder.
#[derive(Clone)]
pub(super) struct Service {
    builder: BuilderHandle,
    access: Access,
}

impl Service {
    pub(super) fn new(builder: BuilderHandle, access: Access) -> Self {
        Self { builder, access }
    }

    pub(super) fn builder_server(&self) -> BuilderServer<Self> {
        BuilderServer::new(self.clone()).max_decoding_message_size(REQUEST_BYTES)
    }

    pub(super) fn code_server(&self) -> CodeServer<Self> {
        CodeServer::new(self.clone())
    }

    fn require_operator<T>(&self, request: &Request<T>) -> Result<(), Status> {
        match self.access {
            Access::Cluster(_) => server::require(request, &[Role::Operator]).map(drop),
            Access::Local => Ok(()),
        }
    }

    async fn require_grant<T>(&self, request: &Request<T>, digest: &Digest) -> Result<(), Status> {
        let Access::Cluster(grants) = &self.access else {
            return Ok(());
        };
        let pod_uid = server::require(request, &[Role::Runtime])?
            .pod_uid()
            .to_owned();
        let granted =
            |table: &shoal_protocol::GrantTable| table.allows_digest(&pod_uid, digest.as_str());
        if grants.allows_within(GRANT_PATIENCE, granted).await {
            return Ok(());
        }
        Err(Status::permission_denied(format!(
            "the code of {digest} is not assigned to this pod"
        )))
    }
}

#[tonic::async_trait]
impl v1::builder_server::Builder for Service {
    async fn resolve(
        &self,
        request: Request<v1::ResolveRequest>,
    ) -> Result<Response<v1::ResolveResponse>, Status> {
        self.require_operator(&request)?;
        let source = convert::source(request.into_inner().source);
        let response = match self.builder.resolve(&source).await {
            Ok(digest) => v1::ResolveResponse {
                digest: digest.into(),
                refusal: None,
            },
            Err(refusal) => {
                tracing::info!(image = source.image, reason = %refusal.reason, "{}", refusal.message);
                let refusal = Some(convert::refusal_message(refusal));
                v1::ResolveResponse {
                    digest: String::new(),
                    refusal,
                }
            }
        };
        Ok(Response::new(response))
    }

    async fn build(
        &self,
        request: Request<v1::BuildRequest>,
    ) -> Result<Response<v1::BuildResponse>, Status> {
        self.require_operator(&request)?;
        let message = request.into_inner();
        let digest = parse_digest(&message.digest)?;
        let engine_keys = parse_engine_keys(&message.engine_keys)?;
        let source = convert::source(message.source);
        let response = match self.builder.build(&source, &digest, &engine_keys).await {
            Ok(description) => {
                let served = self.builder.served(&description, &engine_keys).await;
                let description = convert::description_message(description);
                v1::BuildResponse {
                    outcome: Some(Outcome::Description(description)),
                    engine_keys: served.iter().map(EngineKey::to_string).collect(),
                }
            }
            Err(refusal) => {
                tracing::info!(image = source.image, %digest, reason = %refusal.reason, "{}", refusal.message);
                v1::BuildResponse {
                    outcome: Some(Outcome::Refusal(convert::refusal_message(refusal))),
                    engine_keys: Vec::new(),
                }
            }
        };
        Ok(Response::new(response))
    }

    async fn code_keys(
        &self,
        request: Request<v1::CodeKeysRequest>,
    ) -> Result<Response<v1::CodeKeysResponse>, Status> {
        self.require_operator(&request)?;
        Ok(Response::new(v1::CodeKeysResponse {
            keys: self
                .builder
                .code_keys()
                .into_iter()
                .map(Into::into)
                .collect(),
        }))
    }
}

#[tonic::async_trait]
impl v1::code_server::Code for Service {
    type FetchStream = ReceiverStream<Result<v1::CodeChunk, Status>>;

    async fn fetch(
        &self,
        request: Request<v1::FetchRequest>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        let digest = parse_digest(&request.get_ref().digest)?;
        self.require_grant(&request, &digest).await?;
        let engine_key = parse_engine_key(&request.get_ref().engine_key)?;
        let code = self
            .builder
            .fetch(&digest, &engine_key)
            .await
            .ok_or_else(|| {
                Status::not_found(format!(
                    "there is no code of {digest} for engine {engine_key}"
                ))
            })?;
        let (sender, receiver) = mpsc::channel(2);
        tokio::spawn(send(code, sender));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// Sends code until it is sent or nobody reads it.
async fn send(code: Code, sender: mpsc::Sender<Result<v1::CodeChunk, Status>>) {
    let push = |message| timeout(CHUNK_DEADLINE, sender.send(message));
    let header = v1::CodeHeader {
        size: code.size,
        signature: code.signature.into(),
    };
    let mut next = Ok(v1::CodeChunk {
        part: Some(Part::Header(header)),
    });
    let mut file = tokio::fs::File::from_std(code.file);
    loop {
        let failed = next.is_err();
        if !matches!(push(next).await, Ok(Ok(()))) || failed {
            return;
        }
        let mut data = Vec::with_capacity(CHUNK_BYTES);
        next = match (&mut file)
            .take(CHUNK_BYTES as u64)
            .read_to_end(&mut data)
            .await
        {
            Ok(0) => return,
            Ok(_) => Ok(v1::CodeChunk {
                part: Some(Part::Data(data.into())),
            }),
            Err(error) => Err(Status::unavailable(format!(
                "the code cannot be read: {error}"
            ))),
        };
    }
}

fn parse_digest(text: &str) -> Result<Digest, Status> {
    text.parse()
        .map_err(|error: shoal_artifact::digest::InvalidDigest| {
            Status::invalid_argument(error.to_string())
        })
}

fn parse_engine_key(text: &str) -> Result<EngineKey, Status> {
    // A runtime of another version: for now there is no code for it.
    text.parse()
        .map_err(|error: shoal_engine::InvalidEngineKey| Status::not_found(error.to_string()))
}

/// The engines that this version makes code for. The answer does not name the others, those of
/// runtimes of an older or newer version: nobody takes them for built.
fn parse_engine_keys(texts: &[String]) -> Result<Vec<EngineKey>, Status> {
    if texts.len() > MAX_ENGINE_KEYS {
        return Err(Status::invalid_argument(format!(
            "more than {MAX_ENGINE_KEYS} engine keys"
        )));
    }
    let mut keys: Vec<EngineKey> = texts.iter().filter_map(|text| text.parse().ok()).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() && !texts.is_empty() {
        let message = "none of the engine keys is of this version of Shoal";
        return Err(Status::failed_precondition(message));
    }
    Ok(keys)
}

/// Serves operator and runtimes over mutual TLS until `shutdown`, then ends what is under way.
///
/// # Errors
/// TLS cannot be set up, or the server fails.
pub async fn serve_cluster(
    builder: BuilderHandle,
    grants: Arc<Grants>,
    identity: &LiveIdentity,
    listener: server::Listener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let incoming = listener.incoming(identity, ClientAuth::Required)?;
    let service = Service::new(builder, Access::Cluster(grants));
    server::builder()
        .add_service(service.builder_server())
        .add_service(service.code_server())
        .serve_with_incoming_shutdown(incoming, shutdown)
        .await?;
    Ok(())
}

/// The server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The gRPC server failed.
    #[error("the gRPC server failed: {0}")]
    Grpc(#[from] tonic::transport::Error),
    /// The socket cannot be used.
    #[error("socket `{path}`: {source}")]
    Socket {
        /// Of the socket.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}
