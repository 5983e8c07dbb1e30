//! `.shoal/`: what `shoal up` keeps between runs.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use shoal_builder::{BuilderHandle, Options};
use shoal_runtime::StoreClasses;
use shoal_runtime::local::StoreIds;
use shoal_stores::memory::MemoryOptions;
use shoal_stores::{Embedded, EmbeddedBlobs, EmbeddedSql, Memory};

use super::bindings::KeptBindings;
use super::store_flag::ON_A_LAPTOP;
use super::stores::Kept;

/// The folder, held by this process alone.
pub struct StateFolder {
    path: PathBuf,
    _lock: File,
}

impl StateFolder {
    /// Opens the folder, or makes it, for this user only.
    ///
    /// # Errors
    /// It cannot be made, or another `shoal up` uses it.
    pub fn open(path: &Path) -> Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot make the state folder {}", path.display()))?;
        let path = path
            .canonicalize()
            .with_context(|| format!("cannot find where {} is", path.display()))?;
        // For a folder that a version control system looks at.
        let ignore = path.join(".gitignore");
        if !ignore.exists() {
            std::fs::write(&ignore, "*\n")
                .with_context(|| format!("cannot write {}", ignore.display()))?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .with_context(|| format!("cannot use the state folder {}", path.display()))?;
        if lock.try_lock().is_err() {
            bail!(
                "another `shoal up` uses {}; end it, or give this one a folder with --state",
                path.display()
            );
        }
        Ok(Self { path, _lock: lock })
    }

    /// The builder, with its key and cache here.
    ///
    /// # Errors
    /// They cannot be used.
    pub fn builder(&self) -> Result<BuilderHandle> {
        let options = Options {
            local_files: true,
            ..Options::new(self.path.join("builder"))
        };
        Ok(BuilderHandle::open(options)?)
    }

    /// The classes of stores that are always there, with their data here or in memory.
    ///
    /// # Errors
    /// They cannot be used.
    pub fn stores(&self) -> Result<Arc<StoreClasses>> {
        let folder = self.path.join("stores");
        let embedded = Embedded::open(&folder, ON_A_LAPTOP)?;
        let memory = Memory::new(MemoryOptions::default());
        let durability = ON_A_LAPTOP.durability;
        let sql = EmbeddedSql::open(&self.path.join("sql"), durability)?;
        let blobs = EmbeddedBlobs::open(&self.path.join("blobs"), durability)?;
        Ok(StoreClasses::new(
            Arc::new(embedded),
            Arc::new(memory),
            Arc::new(sql),
            Arc::new(blobs),
        ))
    }

    /// The folder for the node's code.
    pub fn node(&self) -> PathBuf {
        self.path.join("node")
    }

    /// Which Store each label of each app has, and of which class.
    ///
    /// # Errors
    /// A list of them cannot be read.
    pub fn kept_stores(&self) -> Result<Kept> {
        let ids =
            StoreIds::open(&self.path).with_context(|| format!("in {}", self.path.display()))?;
        let bindings = KeptBindings::open(&self.path)?;
        Ok(Kept { ids, bindings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_used_by_one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = StateFolder::open(folder.path()).unwrap();
        let error = StateFolder::open(folder.path()).err().unwrap();
        assert!(error.to_string().contains("another `shoal up`"), "{error}");
        drop(held);
        assert!(StateFolder::open(folder.path()).is_ok());
    }
}
