//! Compiled code from a builder in this process.

use std::io::Read as _;

use async_trait::async_trait;
use shoal_builder::BuilderHandle;
use shoal_runtime::{Code, CodeSource, Digest, FetchError};

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;

/// The builder of this process.
pub struct Local {
    builder: BuilderHandle,
}

impl Local {
    /// Code of `builder`.
    pub fn new(builder: BuilderHandle) -> Self {
        Self { builder }
    }
}

#[async_trait]
impl CodeSource for Local {
    async fn fetch(
        &self,
        digest: &Digest,
        engine: &shoal_engine::EngineKey,
    ) -> Result<Code, FetchError> {
        let Some(code) = self.builder.fetch(digest, engine).await else {
            return Err(FetchError::NotBuilt {
                digest: digest.clone(),
                engine: engine.clone(),
            });
        };
        let chunks = futures::stream::try_unfold(code.file, |mut file| async move {
            let read = tokio::task::spawn_blocking(move || {
                let mut buffer = vec![0; CHUNK];
                let read = file.read(&mut buffer)?;
                buffer.truncate(read);
                Ok::<_, std::io::Error>((buffer, file))
            });
            let (buffer, file) = read
                .await
                .map_err(|error| FetchError::Unavailable(error.to_string()))?
                .map_err(|error| FetchError::Unavailable(error.to_string()))?;
            Ok((!buffer.is_empty()).then(|| (bytes::Bytes::from(buffer), file)))
        });
        Ok(Code {
            size: code.size,
            signature: code.signature,
            chunks: Box::pin(chunks),
        })
    }
}
