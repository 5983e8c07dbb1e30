//! How a builder works, and why one does not start.

use std::{path::PathBuf, sync::Arc};

use crate::{cache::Protection, compile::CompileLimits, sign::KeyError};

/// How a builder works.
#[derive(Clone)]
pub struct Options {
    /// Folder of key and cache; made where it is missing.
    pub data_dir: PathBuf,
    /// Bound of the cache, in bytes.
    pub cache_bytes: u64,
    /// Limits of one compile.
    pub limits: CompileLimits,
    /// What is started to compile; `None`: this executable, whose `main` must call
    /// [`crate::compile_child`] first.
    pub compile_program: Option<PathBuf>,
    /// Whether an image may be `file:` and a path of this machine.
    pub local_files: bool,
    /// Component digests whose code stays in the cache.
    pub protection: Protection,
}

impl Options {
    /// The defaults, for a builder whose state is in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            cache_bytes: 1536 << 20,
            limits: CompileLimits::default(),
            compile_program: None,
            local_files: false,
            protection: Arc::new(|_| false),
        }
    }
}

/// The builder cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its folder cannot be used.
    #[error("builder folder `{folder}`: {source}")]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}
