//! Files that are being written, and the room that all of them may take together.

use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tempfile::NamedTempFile;

use super::CacheError;

/// The room of all temporary files.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) bound: u64,
    taken: AtomicU64,
}

/// A file to write into, on the cache's volume. It is gone, and its room free, when it is dropped.
#[derive(Debug)]
pub struct Temporary {
    file: NamedTempFile,
    share: Share,
}

#[derive(Debug)]
struct Share {
    room: Arc<Room>,
    bytes: u64,
}

impl Room {
    pub(super) fn new(bound: u64) -> Arc<Self> {
        Arc::new(Self {
            bound,
            taken: AtomicU64::new(0),
        })
    }

    fn take(&self, bytes: u64) -> Result<(), CacheError> {
        let take = |taken: u64| {
            let taken = taken.checked_add(bytes)?;
            (taken <= self.bound).then_some(taken)
        };
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .map(drop)
            .map_err(|taken| CacheError::Busy {
                needed: bytes,
                bound: self.bound,
                free: self.bound.saturating_sub(taken),
            })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Temporary {
    pub(super) fn new(folder: &Path, room: &Arc<Room>) -> io::Result<Self> {
        let share = Share {
            room: room.clone(),
            bytes: 0,
        };
        NamedTempFile::new_in(folder).map(|file| Self { file, share })
    }

    /// Takes room for `bytes` that are about to be written.
    ///
    /// # Errors
    /// Others are being written, and leave too little.
    pub fn reserve(&mut self, bytes: u64) -> Result<(), CacheError> {
        self.share.room.take(bytes)?;
        self.share.bytes += bytes;
        Ok(())
    }

    /// Takes room for more content, and writes it at the end.
    ///
    /// # Errors
    /// There is no room, or the volume failed.
    pub fn append(&mut self, content: &[u8]) -> Result<(), CacheError> {
        self.reserve(content.len() as u64)?;
        Ok(self.file.write_all(content)?)
    }

    /// Bytes that it holds.
    ///
    /// # Errors
    /// The volume failed.
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.file.as_file().metadata()?.len())
    }

    /// The file once more, at its start.
    ///
    /// # Errors
    /// The volume failed.
    pub fn reopen(&self) -> io::Result<File> {
        self.file.reopen()
    }

    /// Makes it the file of this path.
    pub(super) fn persist(self, path: &Path) -> io::Result<()> {
        self.file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}
