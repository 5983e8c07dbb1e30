//! One start, stop or repair at a time on a machine: bridge and addresses exist only once.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Held while the cluster is started or stopped; the file also says where its folder is.
#[derive(Debug)]
pub struct MachineLock {
    file: File,
}

/// Where the lock is: gone after a boot, as the bridge is.
const PATH: &str = "/run/shoal-cluster.lock";

impl MachineLock {
    /// Waits until no other process starts or stops the cluster.
    ///
    /// # Errors
    /// The lock file cannot be opened (only root can).
    pub fn take() -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(PATH)
            .with_context(|| format!("cannot open {PATH}"))?;
        file.lock().with_context(|| format!("cannot lock {PATH}"))?;
        Ok(Self { file })
    }

    /// The folder of the cluster that was started last on this machine.
    ///
    /// # Errors
    /// The lock file cannot be read.
    pub fn holder(&mut self) -> Result<Option<PathBuf>> {
        let mut text = String::new();
        self.file.rewind()?;
        self.file
            .read_to_string(&mut text)
            .with_context(|| format!("cannot read {PATH}"))?;
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }

    /// Says where the folder of the cluster is that runs from now on.
    ///
    /// # Errors
    /// The lock file cannot be written.
    pub fn set_holder(&mut self, root: Option<&Path>) -> Result<()> {
        let text = root.map(Path::as_os_str).unwrap_or_default();
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file
            .write_all(text.as_encoded_bytes())
            .with_context(|| format!("cannot write {PATH}"))
    }
}
