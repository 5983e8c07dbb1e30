//! Files with the content of objects: their names are numbers that nobody chose, their content never
//! changes, and what a crash left behind is swept.
//!
//! Files are made in the folder of this opening (its *generation*), so that those of earlier ones can be
//! compared with the index while new ones come.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use super::kept;
use crate::{embedded::Durability, shortage::Disk};

/// Held by the process that makes files in a generation.
pub(super) const LOCK: &str = "lock";

/// The part of a disk that content never takes, and the most bytes of it.
const SPARED: u64 = 16;
const MOST_SPARED: u64 = 1 << 30;
/// Content of one object is written for so many bytes before it is looked again whether there is room.
const CHECKED_EVERY: usize = 1 << 20;

/// A file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    pub(crate) generation: i64,
    pub(crate) number: uuid::Uuid,
}

/// The folder, and the generation that new files are made in.
pub(crate) struct Files {
    folder: PathBuf,
    generation: i64,
    durability: Durability,
    _lock: File,
}

/// A file that is being written. It goes when it is dropped, unless it is kept.
pub(crate) struct NewFile {
    files: Arc<Files>,
    id: FileId,
    file: Option<tokio::fs::File>,
    /// Bytes that were written since it was looked whether there is room.
    unchecked: usize,
    is_kept: bool,
}

impl Files {
    /// Opens a generation that was never used.
    pub(crate) fn open(folder: &Path, generation: i64, durability: Durability) -> io::Result<Self> {
        let own = folder.join(generation.to_string());
        fs::create_dir_all(&own)?;
        let lock = File::create(own.join(LOCK))?;
        lock.try_lock()?;
        let files = Self {
            folder: folder.to_owned(),
            generation,
            durability,
            _lock: lock,
        };
        files.sync_folder(&own)?;
        files.sync_folder(folder)?;
        Ok(files)
    }

    fn path(&self, id: FileId) -> PathBuf {
        path_of(&self.folder, id)
    }

    fn shelf(&self, id: FileId) -> PathBuf {
        shelf_of(&self.folder, id)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        match self.durability {
            Durability::Full => File::open(folder)?.sync_all(),
            Durability::Relaxed => Ok(()),
        }
    }

    fn new_id(&self) -> FileId {
        FileId {
            generation: self.generation,
            number: uuid::Uuid::new_v4(),
        }
    }

    /// Makes the folder of `id` if it is not there.
    fn make_shelf(&self, id: FileId) -> io::Result<()> {
        let shelf = self.shelf(id);
        match fs::create_dir(&shelf) {
            Ok(()) => self.sync_folder(&self.folder.join(id.generation.to_string())),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether the disk has room for more content. A part of it is left to those who keep keys and databases
    /// there, and to the index.
    pub(crate) fn has_room(&self) -> io::Result<bool> {
        let disk = Disk::of(&self.folder)?;
        Ok(disk.free > (disk.bytes / SPARED).min(MOST_SPARED))
    }

    /// A file to read. Blocks on the disk.
    pub(crate) fn open_to_read(&self, id: FileId) -> io::Result<File> {
        File::open(self.path(id))
    }

    /// Makes an empty file. Blocks on the disk.
    pub(crate) fn create(self: &Arc<Self>) -> io::Result<NewFile> {
        if !self.has_room()? {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let id = self.new_id();
        self.make_shelf(id)?;
        let file = File::create_new(self.path(id))?;
        Ok(NewFile {
            files: Arc::clone(self),
            id,
            file: Some(tokio::fs::File::from_std(file)),
            unchecked: 0,
            is_kept: false,
        })
    }

    /// Makes another file with the content of `id`, durably. Blocks on the disk.
    pub(crate) fn copy(self: &Arc<Self>, id: FileId) -> io::Result<NewFile> {
        let copy = NewFile {
            files: Arc::clone(self),
            id: self.new_id(),
            file: None,
            unchecked: 0,
            is_kept: false,
        };
        self.make_shelf(copy.id)?;
        let (from, to) = (self.path(id), self.path(copy.id));
        if !link(&from, &to)? && self.durability == Durability::Full {
            File::open(&to)?.sync_all()?;
        }
        self.sync_folder(&self.shelf(copy.id))?;
        Ok(copy)
    }

    /// Removes a file that no row of the index names any more. Blocks on the disk.
    pub(crate) fn remove(&self, id: FileId) {
        kept::keep(&self.folder, id);
        self.discard(id);
    }

    /// Removes a file that no row of the index ever named. Blocks on the disk.
    fn discard(&self, id: FileId) {
        match fs::remove_file(self.path(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                // It is swept when the store is next opened.
                tracing::warn!(%error, "the file of a deleted object cannot be removed yet");
            }
            _ => {}
        }
    }

    /// Removes what dead backups kept, and the files of earlier generations that `is_known` does not know, until
    /// it fails or says that it is over (`None`); gives how many there were. Blocks on the disk.
    pub(crate) fn sweep(
        &self,
        mut is_known: impl FnMut(FileId) -> Option<bool>,
    ) -> io::Result<u64> {
        kept::clean(&self.folder);
        let mut swept = 0;
        for generation in fs::read_dir(&self.folder)? {
            let path = generation?.path();
            let Some(generation) = number_of(&path).filter(|found| *found != self.generation)
            else {
                continue;
            };
            // Another process that has the folder open makes files in it, which are not known yet.
            let lock = match File::open(path.join(LOCK)) {
                Ok(lock) => lock,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error),
            }
            for shelf in fs::read_dir(&path)? {
                let shelf = shelf?;
                if !shelf.file_type()?.is_dir() {
                    continue;
                }
                for file in fs::read_dir(shelf.path())? {
                    let file = file?.path();
                    let name = file.file_name().and_then(|name| name.to_str());
                    let Some(number) = name.and_then(|name| uuid::Uuid::try_parse(name).ok())
                    else {
                        continue;
                    };
                    let id = FileId { generation, number };
                    match is_known(id) {
                        Some(true) => {}
                        Some(false) => {
                            kept::keep(&self.folder, id);
                            fs::remove_file(&file)?;
                            swept += 1;
                        }
                        None => return Ok(swept),
                    }
                }
                // Those that still hold a file stay.
                let _ = fs::remove_dir(shelf.path());
            }
            let is_empty = fs::read_dir(&path)?.count() == 1;
            if is_empty {
                let _ = fs::remove_file(path.join(LOCK)).and_then(|()| fs::remove_dir(&path));
            }
        }
        Ok(swept)
    }
}

/// Where a file is in the folder `content`.
pub(crate) fn path_of(content: &Path, id: FileId) -> PathBuf {
    shelf_of(content, id).join(id.number.simple().to_string())
}

/// The folder of a file: there are 256 in a generation.
fn shelf_of(content: &Path, id: FileId) -> PathBuf {
    let [first, ..] = *id.number.as_bytes();
    let generation = content.join(id.generation.to_string());
    generation.join(format!("{first:02x}"))
}

/// Gives a file another name, under which it has a copy where the file system has no links; says which it is.
pub(super) fn link(from: &Path, to: &Path) -> io::Result<bool> {
    // Content never changes, so that both may share it.
    match fs::hard_link(from, to) {
        Ok(()) => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists
            ) =>
        {
            Err(error)
        }
        Err(_) => fs::copy(from, to).map(|_| false),
    }
}

fn number_of(path: &Path) -> Option<i64> {
    path.file_name()?.to_str()?.parse().ok()
}

impl NewFile {
    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Appends `piece`.
    pub(crate) async fn write(&mut self, piece: &Bytes) -> io::Result<()> {
        self.unchecked += piece.len();
        if self.unchecked > CHECKED_EVERY {
            self.unchecked = 0;
            if !self.files.has_room()? {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        match &mut self.file {
            Some(file) => file.write_all(piece).await,
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Makes content and name survive the loss of power, unless that was not asked for.
    pub(crate) async fn sync(&mut self) -> io::Result<()> {
        if let Some(mut file) = self.file.take() {
            file.flush().await?;
            if self.files.durability == Durability::Full {
                file.sync_all().await?;
                let (files, shelf) = (Arc::clone(&self.files), self.files.shelf(self.id));
                tokio::task::spawn_blocking(move || files.sync_folder(&shelf)).await??;
            }
        }
        Ok(())
    }

    /// It is in the index.
    pub(crate) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let (files, id) = (Arc::clone(&self.files), self.id);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || files.discard(id))),
            Err(_) => files.discard(id),
        }
    }
}
