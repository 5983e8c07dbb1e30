//! A part's key and certificate on its memory-backed volume, so that a restarted container needs no operator.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{LiveIdentity, TlsError, state_file};

/// One file, so that key and certificate always belong together.
const NAME: &str = "identity.pem";
const MAX_BYTES: u64 = 256 * 1024;

/// Why a kept identity is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Tls(#[from] TlsError),
}

pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// Keeps a key and its certificate chain, both PEM.
pub(crate) fn save(folder: &Path, chain_pem: &str, key_pem: &str) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    state_file::replace(&path(folder), format!("{key_pem}\n{chain_pem}").as_bytes())
}

/// Uses what was kept. Whether it is still valid is for the caller to ask.
pub(crate) fn load(folder: &Path, identity: &LiveIdentity) -> Result<(), LoadError> {
    let pem = state_file::read_text(&path(folder), MAX_BYTES)?;
    Ok(identity.set_certificate(&pem, &pem)?)
}
