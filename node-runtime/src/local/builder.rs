//! The builder of this machine.

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use hyper_util::rt::TokioIo;
use shoal_artifact::Digest;
use shoal_engine::EngineKey;
use shoal_protocol::v1::{self, build_response::Outcome, builder_client::BuilderClient};
use tokio::{net::UnixStream, time::sleep};
use tonic::{
    Status,
    codegen::{Service, http::Uri},
    transport::{Channel, Endpoint},
};

use super::child::{self, ChildError};
use crate::{
    code::{Code, CodeSource, FetchError, RemoteCode},
    node::Backoff,
};

/// A builder that lived for so long worked.
const WORKED: Duration = Duration::from_secs(30);

/// Why an image was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuilderError {
    /// It cannot be, until something changes.
    #[error("{reason}: {message}")]
    Refused {
        /// One word of the documented list.
        reason: String,
        /// What is wrong and what to do.
        message: String,
        /// Whether asking again may help.
        again: bool,
    },
    /// The builder does not answer.
    #[error("the builder does not answer: {0}")]
    Unavailable(String),
}

/// A builder that runs as a child process for as long as this lives.
pub struct LocalBuilder {
    builder: BuilderClient<Channel>,
    code: RemoteCode,
    keeper: tokio::task::AbortHandle,
}

impl LocalBuilder {
    /// Starts `shoal-builder`, found beside this program or on PATH, with its state in `folder`.
    ///
    /// # Errors
    /// [`ChildError`]
    pub async fn start(folder: &Path) -> Result<Arc<Self>, ChildError> {
        let folder = folder.to_owned();
        // The path of a socket is at most 107 bytes long, and a state folder's may be any.
        let socket = std::env::temp_dir()
            .join(format!(
                "shoal-{}-{}",
                std::process::id(),
                uuid::Uuid::new_v4().simple()
            ))
            .join("builder");
        let child = child::start(&folder, &socket).await?;
        let channel = channel(&socket);
        let keeper = tokio::spawn(keep(child, folder, socket)).abort_handle();
        let builder = BuilderClient::new(channel.clone());
        Ok(Arc::new(Self {
            builder,
            code: RemoteCode::new(channel),
            keeper,
        }))
    }

    /// Ed25519 public keys whose signatures are valid.
    ///
    /// # Errors
    /// [`BuilderError::Unavailable`]
    pub async fn code_keys(&self) -> Result<Vec<Vec<u8>>, BuilderError> {
        let answer = self.builder.clone().code_keys(v1::CodeKeysRequest {}).await;
        let keys = answer
            .map_err(|status| unavailable(&status))?
            .into_inner()
            .keys;
        Ok(keys.iter().map(|key| key.to_vec()).collect())
    }

    /// Pulls or reads an image and compiles what it holds.
    ///
    /// # Errors
    /// [`BuilderError`]
    pub async fn build(
        &self,
        image: &str,
        engine: &EngineKey,
    ) -> Result<v1::Description, BuilderError> {
        let source = v1::ImageSource {
            image: image.into(),
            ..v1::ImageSource::default()
        };
        let request = v1::ResolveRequest {
            source: Some(source.clone()),
        };
        let resolved = self.builder.clone().resolve(request).await;
        let resolved = resolved
            .map_err(|status| unavailable(&status))?
            .into_inner();
        if let Some(refusal) = resolved.refusal {
            return Err(refused(refusal));
        }
        let request = v1::BuildRequest {
            source: Some(source),
            digest: resolved.digest,
            engine_keys: vec![engine.to_string()],
        };
        let built = self.builder.clone().build(request).await;
        match built
            .map_err(|status| unavailable(&status))?
            .into_inner()
            .outcome
        {
            Some(Outcome::Description(description)) => Ok(description),
            Some(Outcome::Refusal(refusal)) => Err(refused(refusal)),
            None => Err(BuilderError::Unavailable("its answer is empty".into())),
        }
    }
}

impl Drop for LocalBuilder {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

#[async_trait]
impl CodeSource for LocalBuilder {
    async fn fetch(&self, digest: &Digest, engine: &EngineKey) -> Result<Code, FetchError> {
        self.code.fetch(digest, engine).await
    }
}

fn refused(refusal: v1::Refusal) -> BuilderError {
    let v1::Refusal {
        reason,
        message,
        retry_after_seconds,
    } = refusal;
    BuilderError::Refused {
        reason,
        message,
        again: retry_after_seconds > 0,
    }
}

fn unavailable(status: &Status) -> BuilderError {
    BuilderError::Unavailable(format!(
        "{}: {}",
        status.code().description(),
        status.message()
    ))
}

/// Starts the builder again whenever it ends.
async fn keep(mut child: tokio::process::Child, folder: PathBuf, socket: PathBuf) {
    let mut backoff = Backoff::default();
    loop {
        let began = tokio::time::Instant::now();
        let ended = child.wait().await;
        tracing::warn!(?ended, "the builder ended; starting it again");
        if began.elapsed() >= WORKED {
            backoff.reset();
        }
        child = loop {
            sleep(backoff.next()).await;
            match child::start(&folder, &socket).await {
                Ok(child) => break child,
                Err(error) => tracing::warn!(%error, "no builder"),
            }
        };
    }
}

fn channel(socket: &Path) -> Channel {
    // Never resolved: the connector knows the socket.
    Endpoint::from_static("http://shoal-builder")
        .connect_with_connector_lazy(ToSocket(socket.into()))
}

#[derive(Clone)]
struct ToSocket(Arc<Path>);

impl Service<Uri> for ToSocket {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let socket = Arc::clone(&self.0);
        Box::pin(async move { UnixStream::connect(socket).await.map(TokioIo::new) })
    }
}
