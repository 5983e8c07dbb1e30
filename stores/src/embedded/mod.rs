//! Key-value stores in SQLite files of this process: behind `shoal-store` in a cluster, and within
//! `shoal up`.
//!
//! Stores share a few files (shards); a Store's id decides on its file. One thread writes a file: it
//! takes all writes that wait, Stores in turn, does them in one transaction and answers them after its
//! one fsync. Keys are blobs under the Store's id, so that every byte of a key counts.

pub(crate) mod accounts;
pub(crate) mod connection;
mod fair_queue;
pub(crate) mod fault;
mod read;
mod schema;
mod shard;
mod write;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;

use self::{
    read::{Found, Read},
    shard::Shard,
    write::{Write, Written},
};
use crate::{
    Backend, Health, KeyValue, KeyValueError, StoreId, StoreLimits, Usage,
    key_value::{KeyPage, Swap},
    limits::{self, MAX_PAGE_KEYS},
    shortage::DiskShortage,
};

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The loss of power: every commit is synced to the disk before its writes are acknowledged.
    Full,
    /// The end of the process; the last writes may be lost with the power. The file stays sound.
    Relaxed,
}

/// How the embedded backend works.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedOptions {
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Files that Stores are spread over (1 to 64), when the folder is first used; later it keeps its
    /// number.
    pub shards: u32,
    /// Threads that read, for each file.
    pub readers: usize,
}

impl EmbeddedOptions {
    /// Those of a cluster's store: nothing that was acknowledged is lost.
    pub const DURABLE: Self = Self {
        durability: Durability::Full,
        shards: 4,
        readers: 2,
    };
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self::DURABLE
    }
}

/// Why the files of a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made or written.
    #[error("the folder {} for stores cannot be used: {error}", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// A file cannot be opened.
    #[error("the file {} of stores cannot be opened: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        error: String,
    },
    /// A file is gone, and with it data; nothing is made in its place.
    #[error("the file {} of stores is missing: restore it, or the folder as a whole", path.display())]
    Missing {
        /// Which file.
        path: PathBuf,
    },
    /// A later version of Shoal wrote it.
    #[error("the file {} was written by a later version of Shoal: use that version", path.display())]
    Later {
        /// Which file.
        path: PathBuf,
    },
    /// SQLite was in use in this process before it could be bounded.
    #[error("SQLite was in use in this process before: open the stores first")]
    Bounds,
    /// A thread cannot be started.
    #[error("a thread cannot be started: {0}")]
    Thread(io::Error),
}

/// See the module. Dropping it finishes what was accepted and closes the files.
pub struct Embedded {
    shards: Vec<Shard>,
    commits: Arc<AtomicU64>,
    shortage: Arc<DiskShortage>,
}

impl Embedded {
    /// Opens the files in `folder`, making them if there are none. Blocks on the disk.
    ///
    /// # Errors
    /// The folder or its first file cannot be used, or a file of it is missing. Another file that cannot
    /// be used makes the calls on its Stores fail, until it can.
    pub fn open(folder: &Path, options: EmbeddedOptions) -> Result<Self, OpenError> {
        let count = schema::prepare(folder, options.shards, options.durability)?;
        let commits = Arc::new(AtomicU64::new(0));
        let shortage = Arc::new(DiskShortage::of(folder));
        let shards = (0..count)
            .map(|index| {
                Shard::start(
                    folder,
                    index,
                    options.readers,
                    options.durability,
                    commits.clone(),
                    shortage.clone(),
                )
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            shards,
            commits,
            shortage,
        })
    }

    /// Commits (and, with [`Durability::Full`], syncs of the disk) so far.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Makes one durable write in every file.
    ///
    /// # Errors
    /// The first file that does not take it.
    pub async fn probe(&self) -> Result<(), KeyValueError> {
        for shard in &self.shards {
            shard.write(StoreId::NONE, Write::Probe).await?;
        }
        Ok(())
    }

    /// Whether all its threads are there. One that is gone does not come back in this process.
    pub fn is_alive(&self) -> bool {
        self.shards.iter().all(Shard::is_alive)
    }

    fn shard(&self, store: StoreId) -> Result<&Shard, KeyValueError> {
        // The last bytes of a UUID are random in every version that is made today.
        let [.., a, b, c, d] = *store.as_bytes();
        let index = u32::from_be_bytes([a, b, c, d]) as usize % self.shards.len().max(1);
        let missing = || KeyValueError::Unavailable("it is not open".to_owned());
        self.shards.get(index).ok_or_else(missing)
    }

    async fn write(&self, store: StoreId, write: Write) -> Result<Written, KeyValueError> {
        self.shard(store)?.write(store, write).await
    }

    async fn read(&self, store: StoreId, read: Read) -> Result<Found, KeyValueError> {
        self.shard(store)?.read(store, read).await
    }
}

/// The answer to another question than was asked, which no code path gives.
fn mismatch<T>() -> Result<T, KeyValueError> {
    Err(KeyValueError::Unavailable(
        "the operation failed".to_owned(),
    ))
}

#[async_trait]
impl KeyValue for Embedded {
    async fn get(
        &self,
        store: StoreId,
        keys: Vec<String>,
    ) -> Result<Vec<Option<Bytes>>, KeyValueError> {
        limits::check_keys(&keys)?;
        match self.read(store, Read::Get(keys)).await? {
            Found::Values(values) => Ok(values),
            _ => mismatch(),
        }
    }

    async fn set(
        &self,
        store: StoreId,
        pairs: Vec<(String, Bytes)>,
        limits: StoreLimits,
    ) -> Result<(), KeyValueError> {
        limits::check_pairs(&pairs, limits)?;
        let set = Write::Set { pairs, limits };
        self.write(store, set).await.map(|_| ())
    }

    async fn delete(&self, store: StoreId, keys: Vec<String>) -> Result<(), KeyValueError> {
        limits::check_keys(&keys)?;
        self.write(store, Write::Delete(keys)).await.map(|_| ())
    }

    async fn exists(&self, store: StoreId, key: String) -> Result<bool, KeyValueError> {
        limits::check_call_bytes(key.len())?;
        match self.read(store, Read::Exists(key)).await? {
            Found::Exists(exists) => Ok(exists),
            _ => mismatch(),
        }
    }

    async fn list_keys(
        &self,
        store: StoreId,
        after: Option<String>,
        limit: u32,
    ) -> Result<KeyPage, KeyValueError> {
        limits::check_call_bytes(after.as_ref().map_or(0, String::len))?;
        let limit = limit.min(MAX_PAGE_KEYS);
        match self.read(store, Read::List { after, limit }).await? {
            Found::Page(page) => Ok(page),
            _ => mismatch(),
        }
    }

    async fn increment(
        &self,
        store: StoreId,
        key: String,
        delta: i64,
        limits: StoreLimits,
    ) -> Result<i64, KeyValueError> {
        limits::check_key(&key, limits)?;
        match self
            .write(store, Write::Increment { key, delta, limits })
            .await?
        {
            Written::Number(number) => Ok(number),
            _ => mismatch(),
        }
    }

    async fn compare_and_swap(
        &self,
        store: StoreId,
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
        limits: StoreLimits,
    ) -> Result<Swap, KeyValueError> {
        limits::check_key(&key, limits)?;
        limits::check_value(value.len(), limits)?;
        limits::check_call_bytes(value.len() + expected.as_ref().map_or(0, Bytes::len))?;
        match self
            .write(
                store,
                Write::Swap {
                    key,
                    expected,
                    value,
                    limits,
                },
            )
            .await?
        {
            Written::Swap(swap) => Ok(swap),
            _ => mismatch(),
        }
    }

    async fn usage(&self, store: StoreId) -> Result<Usage, KeyValueError> {
        match self.read(store, Read::Usage).await? {
            Found::Usage(usage) => Ok(usage),
            _ => mismatch(),
        }
    }

    async fn purge(&self, store: StoreId) -> Result<(), KeyValueError> {
        let mut after = None;
        loop {
            match self.write(store, Write::Purge { after }).await? {
                Written::Purged(None) => return Ok(()),
                Written::Purged(last) => after = last,
                _ => return mismatch(),
            }
        }
    }
}

#[async_trait]
impl Backend for Embedded {
    async fn health(&self) -> Health {
        match self.probe().await {
            Ok(()) => fault::health_of_disk(&self.shortage).await,
            Err(error) => fault::health(&error),
        }
    }
}
