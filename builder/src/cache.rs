//! What the builder keeps on its volume: descriptions, components and code, within a bound.
//!
//! Each is a file whose name says what it holds. Files appear whole (written elsewhere, then
//! renamed) and are checked against their name when they are first opened, so whatever else is
//! found in the folder is removed, never served. Past the bound, what was not used for longest
//! goes first: of what no runtime may need, then of what is granted to one. Such code is made again
//! when a runtime asks for it and does not get it; an app that is new would have no other way. What
//! is in use stays.
//!
//! Files that are being written take room of their own beside the cache.

mod folder;
mod index;
mod key;
mod temporary;

use std::{
    collections::HashSet,
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

pub use index::Pin;
pub use key::Key;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
pub use temporary::Temporary;

use index::Index;
use temporary::Room;

/// Says of a component digest (`sha256:<64 hex>`) that a runtime may need its code at any time.
pub type Protection = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// The cache on the volume.
pub struct Cache {
    folder: PathBuf,
    bound: u64,
    protection: Protection,
    index: Arc<Mutex<Index>>,
    room: Arc<Room>,
    /// Names of files that were compared with their name since this process started.
    checked: Mutex<HashSet<String>>,
}

/// A file of the cache, open.
#[derive(Debug)]
pub struct Content {
    /// Open for reading, at its start.
    pub file: File,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

/// Something was not kept.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// What is in use leaves no room.
    #[error(
        "the cache is full: {needed} bytes are needed, and of {bound} (--cache-bytes) all but \
         {free} are in use"
    )]
    Full {
        /// Size of what was to be kept.
        needed: u64,
        /// Size of the cache.
        bound: u64,
        /// What could be had by removing all that is not in use.
        free: u64,
    },
    /// What is being written leaves no room.
    #[error(
        "too much is being pulled at once: {needed} bytes are needed, and of {bound} (a quarter of \
         --cache-bytes) all but {free} are in use"
    )]
    Busy {
        /// How many more were to be written.
        needed: u64,
        /// Room of all temporary files.
        bound: u64,
        /// What is left of it.
        free: u64,
    },
    /// The volume failed.
    #[error("the cache cannot be written: {0}")]
    Io(#[from] io::Error),
}

impl Cache {
    /// Opens the cache in `folder`, makes it where there is none, and removes what is none of it.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(folder: &Path, bound: u64, protection: Protection) -> io::Result<Self> {
        let index = Arc::new(Mutex::new(folder::scan(folder)?));
        let cache = Self {
            folder: folder.to_owned(),
            bound,
            protection,
            index,
            room: Room::new(bound / 4),
            checked: Mutex::default(),
        };
        // The bound may be lower than it was.
        cache.evict(bound);
        Ok(cache)
    }

    /// A file to write into, on the same volume.
    ///
    /// # Errors
    /// The volume is full or read-only.
    pub fn temporary(&self) -> io::Result<Temporary> {
        Temporary::new(&self.folder.join(folder::TEMPORARY), &self.room)
    }

    /// Most bytes of all temporary files together: a quarter of what is kept.
    pub fn temporary_bytes(&self) -> u64 {
        self.room.bound
    }

    /// Keeps a file under a key. `sha256`: of its content. The file stays while the pin lives.
    ///
    /// # Errors
    /// There is no room, or the volume failed.
    pub fn put(&self, key: &Key, file: Temporary, sha256: &[u8; 32]) -> Result<Pin, CacheError> {
        let size = file.size()?;
        self.make_room(size)?;
        let name = key.file_name(sha256);
        file.persist(&self.folder.join(&name))?;
        let mut index = self.index.lock();
        let replaced = index.insert(key.name(), name.clone(), size);
        let pin = index.pin(&self.index, key.name());
        drop(index);
        if let Some(old) = replaced.filter(|old| *old != name) {
            let _ = std::fs::remove_file(self.folder.join(old));
        }
        self.checked.lock().insert(name);
        Ok(pin)
    }

    /// Keeps the file of this key in the cache while the pin lives, if it is there.
    pub fn pin(&self, key: &Key) -> Option<Pin> {
        let mut index = self.index.lock();
        index.touch(&key.name())?;
        Some(index.pin(&self.index, key.name()))
    }

    /// Whether there is a file of this key.
    pub fn has(&self, key: &Key) -> bool {
        self.index.lock().touch(&key.name()).is_some()
    }

    /// Opens the file of this key. One that does not hold what its name says is removed. Blocks:
    /// a file is read whole when it is first opened.
    pub fn open_content(&self, key: &Key) -> Option<Content> {
        let name = self.index.lock().touch(&key.name())?;
        match self.read(&name) {
            Ok(content) => Some(content),
            Err(error) => {
                tracing::warn!(file = name, %error, "removed from the cache");
                self.remove(key);
                None
            }
        }
    }

    fn read(&self, name: &str) -> io::Result<Content> {
        let damaged = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "its content is not what its name says",
            )
        };
        let sha256 = key::sha256_of(name).ok_or_else(damaged)?;
        let mut file = File::open(self.folder.join(name))?;
        let size = file.metadata()?.len();
        if !self.checked.lock().contains(name) {
            if hash(&mut file)? != sha256 {
                return Err(damaged());
            }
            io::Seek::rewind(&mut file)?;
            self.checked.lock().insert(name.to_owned());
        }
        // For the order of removal after a restart; nothing depends on it being right.
        let _ = file.set_modified(std::time::SystemTime::now());
        Ok(Content { file, size, sha256 })
    }

    /// Removes the file of this key.
    pub fn remove(&self, key: &Key) {
        if let Some(name) = self.index.lock().remove(&key.name()) {
            self.checked.lock().remove(&name);
            let _ = std::fs::remove_file(self.folder.join(name));
        }
    }

    /// Bytes and files that are kept.
    pub fn usage(&self) -> (u64, u64) {
        let index = self.index.lock();
        (index.bytes(), index.len() as u64)
    }

    fn make_room(&self, needed: u64) -> Result<(), CacheError> {
        // Known before anything goes: what does not fit in the end removes nothing.
        let free = self.bound.saturating_sub(self.index.lock().held());
        if needed > free {
            return Err(CacheError::Full {
                needed,
                bound: self.bound,
                free,
            });
        }
        self.evict(self.bound.saturating_sub(needed));
        Ok(())
    }

    fn evict(&self, bytes: u64) {
        let removed = self.index.lock().evict(bytes, &*self.protection);
        for name in removed {
            tracing::debug!(file = name, "removed from the cache to make room");
            self.checked.lock().remove(&name);
            let _ = std::fs::remove_file(self.folder.join(name));
        }
    }
}

fn hash(file: &mut File) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = file.read(&mut buffer)?;
        match buffer.get(..count) {
            Some(chunk) if !chunk.is_empty() => hash.update(chunk),
            _ => return Ok(hash.finalize().into()),
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
