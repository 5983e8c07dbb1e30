//! Objects in a folder of this process: behind `shoal-store` in a cluster, and within `shoal up`.
//!
//! The content of each object is a file that never changes; a SQLite file says which objects there are
//! and what each Store holds. A write makes its file durable first and then the row that names it, in one
//! transaction with the count: so an object is there as a whole or not at all, and counts are exact. A
//! file that no row names (the rest of a write that was not acknowledged, an object that was deleted) is
//! removed at once, or swept when the folder is next opened. While a backup is written, what is removed is kept
//! for it.

pub(crate) mod files;
pub(crate) mod index;
pub(crate) mod kept;
mod objects;

use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use async_trait::async_trait;
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::{io::AsyncReadExt, sync::Semaphore, time::timeout};
use tokio_util::io::ReaderStream;

use self::{
    files::{Files, NewFile},
    objects::{Opening, Shared, of_disk},
};
use super::{
    BlobError, Blobs, ByteRange, Content, ObjectInfo, ObjectPage, Opened, PIECE_BYTES, Place,
    content::{Meter, check_asked, check_name, check_names, exactly},
    slots::Slots,
};
use crate::{
    Health, KeyValueError, Reason, StoreId, StoreLimits, Usage,
    embedded::{Durability, OpenError, connection::Reopening, fault},
    limits::MAX_PAGE_KEYS,
};

/// The folder of objects within that of the store pod, where a backup looks for them.
pub const FOLDER: &str = "blobs";
/// Within it, the file that says which objects there are, and the folder of their content.
pub(crate) const INDEX: &str = "index.db";
pub(crate) const CONTENT: &str = "content";

/// Every step but the passing of content ends by then.
const DEADLINE: Duration = Duration::from_secs(5);
/// Steps that are at the index at once; others wait.
const STEPS: usize = 32;
/// Objects of one Store, and of all, that are being written.
const WRITES: (usize, usize) = (32, 256);
/// Objects of one Store, and of all, that are being read.
const READS: (usize, usize) = (128, 512);
/// See the module. Dropping it closes the files.
pub struct EmbeddedBlobs {
    shared: Arc<Shared>,
    steps: Arc<Semaphore>,
    writes: Slots,
    reads: Slots,
}

impl EmbeddedBlobs {
    /// Keeps objects in `folder`, which is made if it is not there. Blocks on the disk.
    ///
    /// # Errors
    /// The folder cannot be used, or a later version of Shoal wrote it.
    pub fn open(folder: &Path, durability: Durability) -> Result<Self, OpenError> {
        let failed = |error| OpenError::Folder {
            path: folder.to_owned(),
            error,
        };
        make_durably(folder, durability).map_err(failed)?;
        let file = folder.join(INDEX);
        let generation = generation(&file, durability)?;
        let content = folder.join(CONTENT);
        let files = Files::open(&content, generation, durability).map_err(failed)?;
        let name = file.display().to_string();
        let writer: Opening = {
            let file = file.clone();
            Box::new(move || index::writer(&file, durability))
        };
        let reader: Opening = Box::new(move || index::reader(&file));
        let shared = Arc::new(Shared {
            writer: Mutex::new(Reopening::new(name.clone(), writer)),
            reader: Mutex::new(Reopening::new(name, reader)),
            files: Arc::new(files),
            is_over: AtomicBool::new(false),
        });
        let sweeping = Arc::clone(&shared);
        thread::Builder::new()
            .name("blob-sweep".to_owned())
            .spawn(move || sweeping.sweep())
            .map_err(OpenError::Thread)?;
        Ok(Self {
            shared,
            steps: Arc::new(Semaphore::new(STEPS)),
            writes: Slots::new("written", WRITES.0, WRITES.1),
            reads: Slots::new("read", READS.0, READS.1),
        })
    }

    /// Does a step on a thread that may block. It is done as a whole even when nobody waits any more.
    async fn step<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let shared = Arc::clone(&self.shared);
        let steps = Arc::clone(&self.steps);
        let step = async move {
            // It is never closed.
            let permit = steps.acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                let _permit = permit;
                work(&shared)
            })
            .await
        };
        match timeout(DEADLINE, step).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(BlobError::unavailable("the operation failed")),
            Err(_) => Err(BlobError::unavailable("it took longer than 5 s")),
        }
    }

    /// Takes content into a file that is durable.
    async fn take(
        &self,
        mut content: Content,
        limits: StoreLimits,
    ) -> Result<(NewFile, u64), BlobError> {
        let mut meter = Meter::new(limits);
        let mut file = self
            .step(|shared| shared.files.create().map_err(of_disk))
            .await?;
        while let Some(piece) = content.next().await {
            let piece = piece?;
            meter.count(piece.len())?;
            file.write(&piece).await.map_err(of_disk)?;
        }
        file.sync().await.map_err(of_disk)?;
        Ok((file, meter.bytes))
    }
}

impl Drop for EmbeddedBlobs {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
    }
}

/// Makes `folder`, with a name that survives the loss of power.
fn make_durably(folder: &Path, durability: Durability) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let parent: Option<PathBuf> = folder.parent().map(Path::to_owned);
    match parent.filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) if durability == Durability::Full => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

/// Opens the index for the first time, and begins a generation of files.
fn generation(file: &Path, durability: Durability) -> Result<i64, OpenError> {
    let failed = |error: rusqlite::Error| OpenError::File {
        path: file.to_owned(),
        error: error.to_string(),
    };
    let index = index::writer(file, durability).map_err(failed)?;
    if index::is_later(&index).map_err(failed)? {
        return Err(OpenError::Later {
            path: file.to_owned(),
        });
    }
    index::next_generation(&index).map_err(failed)
}

#[async_trait]
impl Blobs for EmbeddedBlobs {
    async fn read(
        &self,
        store: StoreId,
        name: String,
        range: ByteRange,
    ) -> Result<Opened, BlobError> {
        check_asked(&name)?;
        let slot = self.reads.enter(store)?;
        let place = Place { store, name };
        let (row, file, bytes) = self
            .step(move |shared| {
                let (row, mut file) = shared.open(&place)?;
                let (first, bytes) = range.within(row.info.size)?;
                file.seek(SeekFrom::Start(first)).map_err(of_disk)?;
                Ok((row, file, bytes))
            })
            .await?;
        let file = tokio::fs::File::from_std(file).take(bytes);
        let pieces = ReaderStream::with_capacity(file, PIECE_BYTES).map(move |piece| {
            let _held = &slot;
            piece.map_err(of_disk)
        });
        Ok(Opened {
            info: row.info,
            bytes,
            content: exactly(bytes, pieces),
        })
    }

    async fn write(
        &self,
        store: StoreId,
        name: String,
        content: Content,
        limits: StoreLimits,
    ) -> Result<(), BlobError> {
        check_name(&name, limits)?;
        let _slot = self.writes.enter(store)?;
        let (file, size) = self.take(content, limits).await?;
        let to = Place { store, name };
        self.step(move |shared| shared.put(&to, file, size, limits))
            .await
    }

    async fn info(&self, store: StoreId, name: String) -> Result<Option<ObjectInfo>, BlobError> {
        check_asked(&name)?;
        let find = move |shared: &Shared| shared.read(|index| index::find(index, store, &name));
        Ok(self.step(find).await?.map(|row| row.info))
    }

    async fn list(
        &self,
        store: StoreId,
        after: Option<String>,
        limit: u32,
    ) -> Result<ObjectPage, BlobError> {
        let (after, limit) = (after.unwrap_or_default(), limit.min(MAX_PAGE_KEYS));
        check_asked(&after)?;
        self.step(move |shared| shared.read(|index| index::list(index, store, &after, limit)))
            .await
    }

    async fn delete(&self, store: StoreId, names: Vec<String>) -> Result<(), BlobError> {
        check_names(&names)?;
        self.step(move |shared| {
            let files = shared.write(|index| index::delete(index, store, &names))?;
            shared.remove(&files);
            Ok(())
        })
        .await
    }

    async fn copy(&self, from: Place, to: Place, limits: StoreLimits) -> Result<(), BlobError> {
        check_asked(&from.name)?;
        check_name(&to.name, limits)?;
        let _slot = self.writes.enter(to.store)?;
        self.step(move |shared| shared.copy(&from, &to, limits))
            .await
    }

    async fn usage(&self, store: StoreId) -> Result<Usage, BlobError> {
        self.step(move |shared| shared.read(|index| index::usage(index, store)))
            .await
    }

    async fn clear(&self, store: StoreId) -> Result<(), BlobError> {
        let some = move |shared: &Shared| {
            let files = shared.write(|index| index::clear_some(index, store))?;
            shared.remove(&files);
            Ok(files.is_empty())
        };
        while !self.step(some).await? {}
        Ok(())
    }

    async fn health(&self) -> Health {
        let probe = |shared: &Shared| {
            shared.write(index::probe)?;
            shared.files.has_room().map_err(of_disk)
        };
        match self.step(probe).await {
            // The index has room left when content has none.
            Ok(false) => {
                let why = "the disk has no more room for objects".to_owned();
                Health::of(Reason::ReadOnly, &KeyValueError::Unavailable(why))
            }
            Ok(true) => Health::Reachable,
            Err(error) => fault::health(&KeyValueError::Unavailable(match error {
                BlobError::Unavailable(why) => why,
                error => error.to_string(),
            })),
        }
    }

    fn bytes_of_a_write(&self) -> u64 {
        // A piece that waits, and one that is on its way to the disk.
        2 * PIECE_BYTES as u64
    }
}
