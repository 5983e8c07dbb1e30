//! The code that this node has: fetched once, kept, loaded once, dropped when nothing needs it.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use arc_swap::ArcSwap;
use futures::StreamExt as _;
use parking_lot::Mutex;
use shoal_artifact::Digest;
use shoal_engine::Verifier;

use super::{
    Code, CodeSource, FetchError, MAX_CODE_BYTES,
    file::{self, FileError, Paths, Unfinished, VerifiedFile},
    handler::Handler,
    load,
};
use crate::engine::{GuestEngine, weight};

/// Longest time without a byte while code is fetched.
const FETCH_IDLE: Duration = Duration::from_secs(30);

/// Code that is loaded and linked: everything but the instance.
pub struct Prepared {
    /// Makes instances.
    pub handler: Handler,
    /// Slots that an instance takes.
    pub weight: u32,
}

/// Why a component's code is not usable here.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CodeError {
    /// It did not come. Worth another try.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It came, and not from the builder. Worth another try: keys may be on their way.
    #[error("{0}")]
    Signature(#[from] shoal_engine::BadSignature),
    /// The disk. Worth another try.
    #[error("code cannot be kept in {folder}: {reason}")]
    Disk {
        /// Folder of the code.
        folder: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// It is the builder's, and does not load now: no descriptor or memory is left for its map. Worth
    /// another try.
    #[error("its code does not load: {0}")]
    Load(String),
    /// It does not link, with the names of what is missing.
    #[error("{0}")]
    Link(String),
}

/// All code of the node.
pub struct CodeCache {
    folder: PathBuf,
    source: Arc<dyn CodeSource>,
    verifier: ArcSwap<Verifier>,
    engine: Arc<GuestEngine>,
    entries: Mutex<HashMap<Digest, Arc<Entry>>>,
}

/// One component. The lock makes everybody who needs it at once wait for one fetch and one load.
#[derive(Default)]
struct Entry {
    prepared: tokio::sync::Mutex<Weak<Prepared>>,
}

impl CodeCache {
    /// Code is kept in `folder`, which is made owner-only.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(
        folder: &Path,
        source: Arc<dyn CodeSource>,
        engine: Arc<GuestEngine>,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        remove_unfinished(folder);
        let verifier = ArcSwap::from_pointee(Verifier::new(Vec::new(), engine.key().clone()));
        let folder = folder.to_owned();
        Ok(Self {
            folder,
            source,
            verifier,
            engine,
            entries: Mutex::default(),
        })
    }

    /// Whose signatures count from now on: Ed25519 public keys of 32 bytes.
    pub fn trust(&self, keys: Vec<Vec<u8>>) {
        self.verifier
            .store(Arc::new(Verifier::new(keys, self.engine.key().clone())));
    }

    /// The code of a component, loaded and linked.
    ///
    /// # Errors
    /// [`CodeError`]; all but [`CodeError::Link`] are worth another try.
    pub async fn prepared(&self, digest: &Digest) -> Result<Arc<Prepared>, CodeError> {
        let entry = self.entry(digest);
        let mut slot = entry.prepared.lock().await;
        if let Some(prepared) = slot.upgrade() {
            return Ok(prepared);
        }
        let file = self.file(digest).await?;
        let engine = Arc::clone(&self.engine);
        let loaded = blocking(move || prepare(&engine, &file)).await;
        let prepared = Arc::new(loaded?);
        *slot = Arc::downgrade(&prepared);
        Ok(prepared)
    }

    /// Makes sure that the code is on disk, without loading it.
    ///
    /// # Errors
    /// [`CodeError`], all worth another try.
    pub async fn keep(&self, digest: &Digest) -> Result<(), CodeError> {
        let entry = self.entry(digest);
        let slot = entry.prepared.lock().await;
        if slot.strong_count() == 0 {
            self.file(digest).await?;
        }
        Ok(())
    }

    /// Drops all code that is not in `needed`. What is still loaded runs on.
    pub async fn collect(&self, needed: HashSet<Digest>) {
        self.entries.lock().retain(|digest, entry| {
            // One that someone works on is left for the next time.
            needed.contains(digest) || Arc::strong_count(entry) > 1
        });
        let keep: HashSet<PathBuf> = needed
            .iter()
            .map(|digest| Paths::new(&self.folder, digest, self.engine.key()))
            .chain(
                self.entries
                    .lock()
                    .keys()
                    .map(|d| Paths::new(&self.folder, d, self.engine.key())),
            )
            .flat_map(|paths| [paths.code, paths.signature])
            .collect();
        let folder = self.folder.clone();
        blocking(move || remove_others(&folder, &keep)).await;
    }

    fn entry(&self, digest: &Digest) -> Arc<Entry> {
        Arc::clone(self.entries.lock().entry(digest.clone()).or_default())
    }

    /// The verified file of a component; fetched where there is none, or no good one.
    async fn file(&self, digest: &Digest) -> Result<VerifiedFile, CodeError> {
        match self.open_file(digest).await {
            Ok(file) => return Ok(file),
            Err(FileError::Missing) => {}
            Err(error) => {
                tracing::warn!(%digest, %error, "code on disk is not usable; fetching it again")
            }
        }
        self.fetch(digest).await?;
        self.open_file(digest)
            .await
            .map_err(|error| self.file_error(error))
    }

    async fn open_file(&self, digest: &Digest) -> Result<VerifiedFile, FileError> {
        let paths = Paths::new(&self.folder, digest, self.engine.key());
        let (digest, verifier) = (digest.clone(), self.verifier.load_full());
        blocking(move || file::open(&paths, &digest, &verifier)).await
    }

    async fn fetch(&self, digest: &Digest) -> Result<(), CodeError> {
        let code = timeout(self.source.fetch(digest, self.engine.key())).await??;
        let Code {
            size,
            signature,
            mut chunks,
        } = code;
        if size > MAX_CODE_BYTES {
            let reason = format!("it says that the code has {size} bytes");
            return Err(FetchError::Unavailable(reason).into());
        }
        let paths = Paths::new(&self.folder, digest, self.engine.key());
        let disk = |error: io::Error| self.file_error(error.into());
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
        let (digest, verifier) = (digest.clone(), self.verifier.load_full());
        blocking(move || unfinished.keep(&paths, &digest, &signature, &verifier))
            .await
            .map_err(|error| self.file_error(error))
    }

    fn file_error(&self, error: FileError) -> CodeError {
        match error {
            FileError::Signature(error) => error.into(),
            error => CodeError::Disk {
                folder: self.folder.clone(),
                reason: error.to_string(),
            },
        }
    }
}

/// Loads and links. The message names what is missing.
fn prepare(engine: &GuestEngine, file: &VerifiedFile) -> Result<Prepared, CodeError> {
    let component = load::component(engine.engine(), file)
        .map_err(|error| CodeError::Load(format!("{error:#}")))?;
    let weight = weight(&component).map_err(CodeError::Link)?;
    let pre = engine
        .linker()
        .instantiate_pre(&component)
        .map_err(|error| CodeError::Link(format!("{error:#}")))?;
    let handler = Handler::of(pre).map_err(CodeError::Link)?;
    Ok(Prepared { handler, weight })
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

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // Aborted only when the runtime ends, and then nobody waits for this any more.
        Err(error) if error.is_cancelled() => std::future::pending().await,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
