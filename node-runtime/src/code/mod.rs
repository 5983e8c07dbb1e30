//! Compiled code: where it comes from, how it is kept, and how it gets into the process.

mod cache;
mod component;
mod eviction;
mod file;
mod files;
mod handler;
mod load;
mod remote;
mod room;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use shoal_artifact::Digest;
use shoal_engine::EngineKey;

pub use cache::{CodeCache, CodeError};
pub use component::{ComponentCode, Prepared};
pub use handler::Handler;
pub use remote::RemoteCode;
pub use room::{Amount, Resource};

/// Largest code of one component, in bytes: several times what the largest component compiles to.
pub const MAX_CODE_BYTES: u64 = 2 << 30;

/// Where code comes from: the builder, or something else that signs as it does.
#[async_trait]
pub trait CodeSource: Send + Sync + 'static {
    /// The code of a component for an engine.
    ///
    /// # Errors
    /// [`FetchError`]; the caller tries again later.
    async fn fetch(&self, digest: &Digest, engine: &EngineKey) -> Result<Code, FetchError>;
}

/// Code on its way. Nothing of it is trusted before its signature is checked.
pub struct Code {
    /// How many bytes will come; checked while they do.
    pub size: u64,
    /// The builder's signature; see `shoal_engine::signed_message`.
    pub signature: Vec<u8>,
    /// The bytes, in pieces of any size.
    pub chunks: BoxStream<'static, Result<Bytes, FetchError>>,
}

impl Code {
    /// Code that is in memory already.
    pub fn from_bytes(code: Bytes, signature: Vec<u8>) -> Self {
        let size = code.len() as u64;
        let chunks = Box::pin(futures::stream::once(async move { Ok(code) }));
        Self {
            size,
            signature,
            chunks,
        }
    }
}

/// Why code did not come. All of it may pass by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The source does not give this digest to this node (yet).
    #[error("the builder does not grant this node the code of {0} (yet)")]
    Denied(Digest),
    /// The source has none for this engine (yet).
    #[error("the builder has no code of {digest} for engine {engine} (yet)")]
    NotBuilt {
        /// Which component.
        digest: Digest,
        /// Which engine.
        engine: EngineKey,
    },
    /// The source cannot be reached or broke off.
    #[error("the builder cannot give the code now: {0}")]
    Unavailable(String),
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // Aborted only when the runtime ends, and then nobody waits for this any more.
        Err(error) if error.is_cancelled() => std::future::pending().await,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
