//! Content that a backup still needs. The index that it copied names files of objects that are replaced and
//! deleted while it reads, so whoever removes a file leaves a link to it with each backup that is under way.
//!
//! A backup has a folder here, and a lock on a file in it for as long as it lives. A row goes before its file
//! does, so that a backup which copies the index once its folder is there finds every file that the copy names.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::files::{FileId, LOCK, link, path_of};

/// Beside the generations, none of which has such a name.
pub(crate) const KEPT: &str = "kept";

/// What one backup keeps. It goes when this is dropped.
pub(crate) struct Kept {
    content: PathBuf,
    own: PathBuf,
    /// Where it was made, and goes.
    made: PathBuf,
    _lock: File,
}

impl Kept {
    /// From now on no content in the folder `content` goes that an object had. `work` is a folder of the caller on the
    /// same disk, where `kept` is no name yet.
    pub(crate) fn begin(content: &Path, work: &Path) -> io::Result<Self> {
        clean(content);
        let all = content.join(KEPT);
        fs::create_dir_all(&all)?;
        // Nobody sees the folder without its lock: it would be one of a backup that is dead.
        let made = work.join(KEPT);
        fs::create_dir(&made)?;
        let lock = File::create(made.join(LOCK))?;
        lock.lock()?;
        let own = all.join(uuid::Uuid::new_v4().simple().to_string());
        fs::rename(&made, &own)?;
        Ok(Self {
            content: content.to_owned(),
            own,
            made,
            _lock: lock,
        })
    }

    /// The content of an object of an index that was copied since the beginning, and where it is otherwise.
    pub(crate) fn open(&self, id: FileId) -> io::Result<File> {
        // In this order: it is linked before it goes.
        match File::open(path_of(&self.content, id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                File::open(self.own.join(name(id)))
            }
            opened => opened,
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // First out of sight, or somebody leaves a link there while it is emptied.
        let gone = fs::rename(&self.own, &self.made).and_then(|()| fs::remove_dir_all(&self.made));
        if let Err(error) = gone {
            // It is one of a dead backup from now on.
            tracing::warn!(path = %self.own.display(), %error, "what a backup kept stays");
        }
    }
}

fn name(id: FileId) -> String {
    format!("{}-{}", id.generation, id.number.simple())
}

/// Leaves a link to a file that is about to be removed with each backup that is under way.
pub(super) fn keep(content: &Path, id: FileId) {
    for own in folders(content) {
        if !is_live(&own) {
            continue;
        }
        match link(&path_of(content, id), &own.join(name(id))) {
            Ok(_) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists
                ) => {}
            // The backup says so if it misses it.
            Err(error) => tracing::warn!(%error, "content cannot be kept for a backup"),
        }
    }
}

/// Removes what backups kept that ended without a word.
pub(super) fn clean(content: &Path) {
    for own in folders(content) {
        if is_live(&own) {
            continue;
        }
        if let Err(error) = fs::remove_dir_all(&own) {
            tracing::warn!(path = %own.display(), %error, "what a backup kept stays");
        }
    }
}

fn folders(content: &Path) -> impl Iterator<Item = PathBuf> {
    // There is none before the first backup.
    let entries = fs::read_dir(content.join(KEPT)).into_iter().flatten();
    entries.flatten().map(|entry| entry.path())
}

/// Whether a backup holds the lock. Who asks has it for that moment, so that a dead one may be taken for a live one,
/// and never the other way round.
fn is_live(own: &Path) -> bool {
    match File::open(own.join(LOCK)) {
        Ok(lock) => lock.try_lock_shared().is_err(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}
