//! Copies of the store pod's folder while it serves, and folders made from them.
//!
//! A backup is a tar archive of the folder's files by their relative names, each SQLite file as of one moment of
//! its own (so each key-value Store is: it lives in one file). The last entry, `CONTENTS`, names all others
//! with their sizes: an archive without it was cut. What is written anew by itself (grants) is left out.
//! Of objects there is the content that the copy of their index names: all of it, or there is no backup.

mod objects;
mod restore;
mod write;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use self::{restore::restore, write::write};

/// The last entry of an archive: `<bytes> <name>` for each of the others, a line each, after [`HEADING`].
const CONTENTS: &str = "shoal-backup";
/// Its first line. The number changes with what older versions cannot read.
const HEADING: &str = "shoal backup 1";
/// Prefix of folders for what is under way.
const WORK: &str = ".shoal-backup-";
/// What every SQLite file begins with.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// Why there is no copy, or no folder made from one.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A SQLite file cannot be copied.
    #[error("{}: {error}", path.display())]
    Sqlite {
        /// Which.
        path: PathBuf,
        /// What SQLite says.
        error: rusqlite::Error,
    },
    /// Objects without their content.
    #[error(
        "this is no backup, as objects have lost their content: {}{}; write them again or delete them, then back up \
         again",
        objects.join(", "),
        if *more == 0 { String::new() } else { format!(", and {more} more") }
    )]
    Lost {
        /// The first of them: the object, its Store's id and the file that it should have.
        objects: Vec<String>,
        /// How many others there are.
        more: usize,
    },
    /// The archive cannot be read or written.
    #[error("the archive: {0}")]
    Archive(io::Error),
    /// The archive is none of ours, or not whole.
    #[error("this is no whole backup: {0}")]
    NotABackup(String),
    /// There is something already.
    #[error(
        "{} holds `{found}` already: restore into an empty folder, or use --replace to remove what is there",
        folder.display()
    )]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
        /// What is in it.
        found: String,
    },
}

impl BackupError {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { path, error }
    }

    fn sqlite(path: &Path) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Sqlite { path, error }
    }
}

/// Removes what backups left behind that did not come to their end. To be called before any begins.
pub fn clean(folder: &Path) {
    let Ok(entries) = folder.read_dir() else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(WORK) {
            let path = entry.path();
            if let Err(error) = std::fs::remove_dir_all(&path) {
                tracing::warn!(path = %path.display(), %error, "the rest of a backup stays");
            }
        }
    }
}

/// Whether a file of this name is one of SQLite, if it begins like one. Those of objects have names without an end, and
/// begin with whatever a guest writes.
fn may_be_sqlite(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "db")
}

/// Whether this entry of the folder is data: not what is under way, nor what the pod writes anew by itself.
fn is_data(name: &str) -> bool {
    !name.starts_with('.') && !["grants", "lost+found"].contains(&name)
}
