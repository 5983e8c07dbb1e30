//! Objects as rows and files together. Everything here blocks on the disk.

use std::{
    fs::File,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use rusqlite::Connection;

use super::{
    files::{FileId, Files, NewFile},
    index::{self, Row},
};
use crate::{
    StoreLimits,
    blob::{
        BlobError, ObjectInfo, Place,
        content::{Meter, damaged},
    },
    embedded::{connection::Reopening, fault},
};

/// An object that is replaced while it is opened is looked for again.
const LOOKS: usize = 5;

/// Opens the index.
pub(super) type Opening = Box<dyn Fn() -> rusqlite::Result<Connection> + Send>;

/// The index and the files, together.
pub(super) struct Shared {
    pub(super) writer: Mutex<Reopening<Opening>>,
    pub(super) reader: Mutex<Reopening<Opening>>,
    pub(super) files: Arc<Files>,
    pub(super) is_over: AtomicBool,
}

impl Shared {
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, BlobError> {
        Ok(self.writer.lock().run(work)?)
    }

    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, BlobError> {
        Ok(self.reader.lock().run(work)?)
    }

    /// Makes `file` the content of an object.
    pub(super) fn put(
        &self,
        to: &Place,
        file: NewFile,
        size: u64,
        limits: StoreLimits,
    ) -> Result<(), BlobError> {
        let row = Row {
            file: file.id(),
            info: ObjectInfo {
                size,
                created_at: now(),
            },
        };
        let put = |index: &Connection| index::put(index, to.store, &to.name, row, limits);
        let replaced = self.write(put);
        // A commit that failed may be in the file all the same: who asks the index knows.
        let is_there = match &replaced {
            Ok(Ok(_)) => true,
            Ok(Err(_)) => false,
            Err(_) => self
                .read(|index| index::has_file(index, row.file))
                .unwrap_or(true),
        };
        if is_there {
            file.keep();
        }
        if let Some(replaced) = replaced?? {
            self.files.remove(replaced);
        }
        Ok(())
    }

    /// The row of an object, and its file.
    pub(super) fn open(&self, place: &Place) -> Result<(Row, File), BlobError> {
        for _ in 0..LOOKS {
            let row = self.read(|index| index::find(index, place.store, &place.name))?;
            let row = row.ok_or(BlobError::NotFound)?;
            match self.files.open_to_read(row.file) {
                Ok(file) => return Ok((row, file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(of_disk(error)),
            }
        }
        tracing::error!(store = %place.store, "the file of an object is missing");
        Err(damaged())
    }

    pub(super) fn copy(
        &self,
        from: &Place,
        to: &Place,
        limits: StoreLimits,
    ) -> Result<(), BlobError> {
        for _ in 0..LOOKS {
            let row = self.read(|index| index::find(index, from.store, &from.name))?;
            let row = row.ok_or(BlobError::NotFound)?;
            Meter::new(limits).count(usize::try_from(row.info.size).unwrap_or(usize::MAX))?;
            match self.files.copy(row.file) {
                Ok(file) => return self.put(to, file, row.info.size, limits),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(of_disk(error)),
            }
        }
        Err(damaged())
    }

    pub(super) fn remove(&self, files: &[FileId]) {
        for file in files {
            self.files.remove(*file);
        }
    }

    /// Removes what a crash left behind.
    pub(super) fn sweep(&self) {
        let is_known = |file| match self.is_over.load(Ordering::Relaxed) {
            true => None,
            // Whatever cannot be asked for is left where it is.
            false => self.read(|index| index::has_file(index, file)).ok(),
        };
        match self.files.sweep(is_known) {
            Ok(0) => {}
            Ok(swept) => tracing::info!(swept, "files without an object were removed"),
            Err(error) => tracing::warn!(%error, "files without an object cannot be removed now"),
        }
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// What the disk says, in words for guests.
pub(super) fn of_disk(error: io::Error) -> BlobError {
    let reason = fault::of_disk(&error);
    if reason == fault::FAILS {
        tracing::error!(%error, "a file of an object cannot be used");
    }
    BlobError::unavailable(reason)
}
