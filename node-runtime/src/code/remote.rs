//! Code from the builder, over gRPC.

use async_trait::async_trait;
use futures::StreamExt as _;
use shoal_artifact::Digest;
use shoal_engine::{EngineKey, SIGNATURE_BYTES};
use shoal_protocol::v1::{self, code_chunk::Part, code_client::CodeClient};
use tonic::{Status, transport::Channel};

use super::{Code, CodeSource, FetchError};

/// Largest message of `Code.Fetch`: a chunk of 1 MiB and what is around it.
const MAX_MESSAGE: usize = (1 << 20) + (64 << 10);

/// The builder at the other end of a channel.
#[derive(Clone)]
pub struct RemoteCode {
    client: CodeClient<Channel>,
}

impl RemoteCode {
    /// `channel` leads to the builder (mutual TLS in a cluster, its own socket without one).
    pub fn new(channel: Channel) -> Self {
        Self {
            client: CodeClient::new(channel).max_decoding_message_size(MAX_MESSAGE),
        }
    }
}

#[async_trait]
impl CodeSource for RemoteCode {
    async fn fetch(&self, digest: &Digest, engine: &EngineKey) -> Result<Code, FetchError> {
        let request = v1::FetchRequest {
            digest: digest.to_string(),
            engine_key: engine.to_string(),
        };
        let failed = |status: Status| match status.code() {
            tonic::Code::PermissionDenied => FetchError::Denied(digest.clone()),
            tonic::Code::NotFound => FetchError::NotBuilt {
                digest: digest.clone(),
                engine: engine.clone(),
            },
            _ => unavailable(&status),
        };
        let mut chunks = self
            .client
            .clone()
            .fetch(request)
            .await
            .map_err(failed)?
            .into_inner();
        let first = chunks
            .message()
            .await
            .map_err(failed)?
            .and_then(|chunk| chunk.part);
        let Some(Part::Header(header)) = first else {
            return Err(FetchError::Unavailable("its answer has no header".into()));
        };
        if header.signature.len() != SIGNATURE_BYTES {
            return Err(FetchError::Unavailable(
                "its signature is not 64 bytes long".into(),
            ));
        }
        let chunks = chunks.map(|chunk| match chunk.map(|chunk| chunk.part) {
            Ok(Some(Part::Data(data))) => Ok(data),
            Ok(_) => Err(FetchError::Unavailable("its answer has two headers".into())),
            Err(status) => Err(unavailable(&status)),
        });
        Ok(Code {
            size: header.size,
            signature: header.signature.into(),
            chunks: chunks.boxed(),
        })
    }
}

fn unavailable(status: &Status) -> FetchError {
    let message: String = status.message().chars().take(500).collect();
    FetchError::Unavailable(format!("{}: {message}", status.code().description()))
}
