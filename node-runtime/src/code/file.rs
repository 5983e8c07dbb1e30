//! Files of code on disk: written aside, verified, then named; verified again by each process before it maps them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use shoal_artifact::Digest;
use shoal_engine::{BadSignature, EngineKey, SIGNATURE_BYTES, Verifier};

/// Code whose signature was checked, through the descriptor that it holds.
pub(super) struct VerifiedFile {
    file: File,
    proof: Proof,
}

/// That a signature was checked: of this very file, unchanged since. Nobody but this user may write to it, and
/// whoever does moves its time of change, which cannot be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
    /// The keys that counted then.
    keys: u64,
}

/// Whose signatures count.
pub(super) struct Trust {
    pub(super) verifier: Verifier,
    /// Another for other keys.
    pub(super) keys: u64,
}

impl VerifiedFile {
    pub(super) fn descriptor(&self) -> &File {
        &self.file
    }

    pub(super) fn proof(&self) -> &Proof {
        &self.proof
    }

    pub(super) fn bytes(&self) -> u64 {
        self.proof.bytes
    }
}

impl Proof {
    fn of(file: &File, trust: &Trust) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            keys: trust.keys,
        })
    }
}

/// Why a file on disk was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("no such file")]
    Missing,
    #[error("{0}")]
    Signature(#[from] BadSignature),
    #[error("{0}")]
    Foreign(&'static str),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Where the code of a component is, and its signature beside it.
pub(super) struct Paths {
    pub(super) code: PathBuf,
    pub(super) signature: PathBuf,
}

impl Paths {
    pub(super) fn new(folder: &Path, digest: &Digest, engine: &EngineKey) -> Self {
        let engine = hex::encode(Sha256::digest(engine.to_string()));
        let engine = engine.get(..16).unwrap_or_default();
        let stem = format!("{}-{engine}", digest.hex());
        Self {
            code: folder.join(format!("{stem}.code")),
            signature: folder.join(format!("{stem}.signature")),
        }
    }
}

/// Opens a file of code and checks it against the signature beside it, unless `known` proves that this was done.
pub(super) fn open(
    paths: &Paths,
    digest: &Digest,
    trust: &Trust,
    known: Option<&Proof>,
) -> Result<VerifiedFile, FileError> {
    let mut code = open_own(&paths.code)?;
    let proof = Proof::of(&code, trust)?;
    if known == Some(&proof) {
        return Ok(VerifiedFile { file: code, proof });
    }
    let mut signature = Vec::new();
    open_own(&paths.signature)?
        .take(SIGNATURE_BYTES as u64 + 1)
        .read_to_end(&mut signature)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = code.read(&mut buffer)?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else {
            break;
        };
        hash.update(part);
    }
    let verifier = &trust.verifier;
    verifier.verify_hash(digest.as_str(), &hash.finalize().into(), &signature)?;
    // What was read is what was there before and after.
    if Proof::of(&code, trust)? != proof {
        return Err(FileError::Foreign("it changes while it is read"));
    }
    Ok(VerifiedFile { file: code, proof })
}

fn open_own(path: &Path) -> Result<File, FileError> {
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_CLOEXEC;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path);
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(FileError::Missing),
        opened => opened?,
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(FileError::Foreign("it is no regular file"));
    }
    if metadata.uid() != nix::unistd::geteuid().as_raw() || metadata.mode() & 0o077 != 0 {
        return Err(FileError::Foreign("it is not this user's alone"));
    }
    Ok(file)
}

/// A file that is being written, under a name that nothing loads. Removed unless it is kept.
pub(super) struct Unfinished {
    file: File,
    path: PathBuf,
    hash: Sha256,
    written: u64,
}

impl Unfinished {
    pub(super) fn create(paths: &Paths) -> io::Result<Self> {
        let path = paths
            .code
            .with_extension(format!("{}.tmp", uuid::Uuid::new_v4().simple()));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Self {
            file,
            path,
            hash: Sha256::new(),
            written: 0,
        })
    }

    pub(super) fn write(&mut self, part: &[u8]) -> io::Result<()> {
        self.hash.update(part);
        self.written = self.written.saturating_add(part.len() as u64);
        self.file.write_all(part)
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Gives the file its name, if its signature is good.
    pub(super) fn keep(
        self,
        paths: &Paths,
        digest: &Digest,
        signature: &[u8],
        verifier: &Verifier,
    ) -> Result<(), FileError> {
        let hash = self.hash.clone().finalize().into();
        verifier.verify_hash(digest.as_str(), &hash, signature)?;
        let aside = self.path.with_extension("signature.tmp");
        let written = write_own(&aside, signature)
            .and_then(|()| fs::rename(&aside, &paths.signature))
            .and_then(|()| fs::rename(&self.path, &paths.code));
        if written.is_err() {
            let _ = fs::remove_file(&aside);
        }
        Ok(written?)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already where it was kept.
        let _ = fs::remove_file(&self.path);
    }
}

fn write_own(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)
}
