//! The files of code that this node has: fetched once, kept, removed when nothing needs them.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use futures::StreamExt as _;
use shoal_artifact::Digest;
use shoal_engine::{EngineKey, Verifier};

use super::{
    Code, CodeError, CodeSource, FetchError, MAX_CODE_BYTES, blocking,
    file::{self, FileError, Paths, Proof, Trust, Unfinished, VerifiedFile},
};

/// Longest time without a byte while code is fetched.
const FETCH_IDLE: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct CodeFiles {
    folder: PathBuf,
    source: Arc<dyn CodeSource>,
    engine: EngineKey,
    trusted: ArcSwap<Trust>,
}

impl CodeFiles {
    /// In `folder`, which is made owner-only.
    pub(super) fn open(
        folder: &Path,
        source: Arc<dyn CodeSource>,
        engine: EngineKey,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        remove_unfinished(folder);
        let verifier = Verifier::new(Vec::new(), engine.clone());
        let trusted = ArcSwap::from_pointee(Trust { verifier, keys: 0 });
        let folder = folder.to_owned();
        Ok(Self {
            folder,
            source,
            engine,
            trusted,
        })
    }

    /// Whose signatures count from now on. What was checked before is checked again.
    pub(super) fn trust(&self, keys: Vec<Vec<u8>>) {
        let verifier = Verifier::new(keys, self.engine.clone());
        if self.trusted.load().verifier == verifier {
            return;
        }
        let keys = self.trusted.load().keys.saturating_add(1);
        self.trusted.store(Arc::new(Trust { verifier, keys }));
    }

    /// The verified file of a component; fetched where there is none, or no good one.
    pub(super) async fn file(
        &self,
        digest: &Digest,
        known: Option<Proof>,
    ) -> Result<VerifiedFile, CodeError> {
        match self.open_file(digest, known).await {
            Ok(file) => return Ok(file),
            Err(FileError::Missing) => {}
            Err(error) => {
                tracing::warn!(%digest, %error, "code on disk is not usable; fetching it again")
            }
        }
        self.fetch(digest).await?;
        self.open_file(digest, None)
            .await
            .map_err(|error| self.error(error))
    }

    async fn open_file(
        &self,
        digest: &Digest,
        known: Option<Proof>,
    ) -> Result<VerifiedFile, FileError> {
        let paths = self.paths(digest);
        let (digest, trust) = (digest.clone(), self.trusted.load_full());
        blocking(move || file::open(&paths, &digest, &trust, known.as_ref())).await
    }

    async fn fetch(&self, digest: &Digest) -> Result<(), CodeError> {
        let code = timeout(self.source.fetch(digest, &self.engine)).await??;
        let Code {
            size,
            signature,
            mut chunks,
        } = code;
        if size > MAX_CODE_BYTES {
            let reason = format!("it says that the code has {size} bytes");
            return Err(FetchError::Unavailable(reason).into());
        }
        let paths = self.paths(digest);
        let disk = |error: io::Error| self.error(error.into());
        let mut unfinished = Unfinished::create(&paths).map_err(disk)?;
        while let Some(chunk) = timeout(chunks.next()).await? {
            let chunk = chunk?;
            if unfinished.written().saturating_add(chunk.len() as u64) > size {
                let reason = format!("it sent more than the {size} bytes that it announced");
                return Err(FetchError::Unavailable(reason).into());
            }
            unfinished = blocking(move || unfinished.write(&chunk).map(|()| unfinished))
                .await
                .map_err(disk)?;
        }
        if unfinished.written() != size {
            let reason = format!("it sent {} of {size} bytes", unfinished.written());
            return Err(FetchError::Unavailable(reason).into());
        }
        let (digest, trust) = (digest.clone(), self.trusted.load_full());
        blocking(move || unfinished.keep(&paths, &digest, &signature, &trust.verifier))
            .await
            .map_err(|error| self.error(error))
    }

    /// Removes every file that is of none of these.
    pub(super) async fn keep_only(&self, needed: HashSet<Digest>) {
        let keep: HashSet<PathBuf> = needed
            .iter()
            .map(|digest| self.paths(digest))
            .flat_map(|paths| [paths.code, paths.signature])
            .collect();
        let folder = self.folder.clone();
        blocking(move || remove_others(&folder, &keep)).await;
    }

    fn paths(&self, digest: &Digest) -> Paths {
        Paths::new(&self.folder, digest, &self.engine)
    }

    fn error(&self, error: FileError) -> CodeError {
        match error {
            FileError::Signature(error) => error.into(),
            error => CodeError::Disk {
                folder: self.folder.clone(),
                reason: error.to_string(),
            },
        }
    }
}

fn remove_others(folder: &Path, keep: &HashSet<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let ours = path
            .extension()
            .is_some_and(|e| e == "code" || e == "signature");
        if ours && !keep.contains(&path) {
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// What an earlier process was writing when it ended.
fn remove_unfinished(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|extension| extension == "tmp") {
            let _ = std::fs::remove_file(&path);
        }
    }
}

async fn timeout<T>(future: impl Future<Output = T>) -> Result<T, FetchError> {
    let late = || FetchError::Unavailable(format!("no byte came for {} s", FETCH_IDLE.as_secs()));
    tokio::time::timeout(FETCH_IDLE, future)
        .await
        .map_err(|_| late())
}
