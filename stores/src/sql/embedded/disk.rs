//! The disk that databases are on, as statements have met it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rusqlite::{Error, ErrorCode};

use crate::{Health, embedded::fault, shortage::DiskShortage};

/// See the module.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    shortage: Arc<DiskShortage>,
    /// It may take no writes at all: one failed, and none was tried for its own sake since.
    refused: AtomicBool,
}

impl Disk {
    pub(super) fn of(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            shortage: Arc::new(DiskShortage::of(folder)),
            refused: AtomicBool::new(false),
        }
    }

    /// A statement failed like this, and no limit of its database is the cause. Blocks on the disk.
    pub(super) fn met(&self, error: &Error) {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => self.shortage.met(),
            Some(
                ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::CannotOpen
                | ErrorCode::SystemIoFailure,
            ) => self.refused.store(true, Ordering::Relaxed),
            _ => {}
        }
    }

    /// How it does now. Only one that failed is written to.
    pub(super) async fn health(self: &Arc<Self>) -> Health {
        if self.refused.load(Ordering::Relaxed) {
            let disk = Arc::clone(self);
            match fault::asked(move || disk.probe()).await {
                Some(Ok(())) => self.refused.store(false, Ordering::Relaxed),
                Some(Err(error)) => return fault::failing(fault::of_disk(&error)),
                None => return fault::failing(fault::SILENT),
            }
        }
        fault::health_of_disk(&self.shortage).await
    }

    fn probe(&self) -> io::Result<()> {
        let probe = self.folder.join("disk.probe");
        let written = fs::write(&probe, b"probe");
        // What is left behind is overwritten by the next.
        let _ = fs::remove_file(&probe);
        written
    }
}
