//! The content of objects: what the copy of their index names, and nothing else.

use std::{
    fs::File,
    io::{self, Write},
    path::{Component, Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{BackupError, write::Archive};
use crate::blob::embedded::{
    CONTENT, FOLDER, INDEX,
    files::path_of,
    index::{self, Row},
    kept::{KEPT, Kept},
};

/// Objects that an error names.
const NAMED: usize = 20;

/// Holds what a folder has of content, until it is dropped.
pub(super) struct Objects(Kept);

impl Objects {
    /// To be called before the index is copied. `work` is a folder of the caller within `folder`.
    pub(super) fn hold(folder: &Path, work: &Path) -> Result<Self, BackupError> {
        let content = folder.join(content_name());
        let kept = Kept::begin(&content, work).map_err(BackupError::file(&content))?;
        Ok(Self(kept))
    }

    /// Adds the content of every object in `index`, a copy of the index.
    pub(super) fn add(
        &self,
        index: &Path,
        archive: &mut Archive<impl Write>,
    ) -> Result<(), BackupError> {
        let (mut lost, mut more) = (Vec::new(), 0);
        let add = |store, object: &str, row: Row| {
            let name = path_of(&content_name(), row.file);
            match self.0.open(row.file) {
                Ok(file) if length(&file, &name)? == row.info.size => {
                    return archive.add_file(&name, &file);
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(BackupError::file(&name)(error));
                }
                _ if lost.len() == NAMED => more += 1,
                _ => lost.push(format!("{object:?} of id {store} ({})", name.display())),
            }
            Ok(())
        };
        Connection::open_with_flags(index, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .and_then(|index| index::each(&index, add))
            .map_err(BackupError::sqlite(&index_name()))??;
        if lost.is_empty() {
            return Ok(());
        }
        Err(BackupError::Lost {
            objects: lost,
            more,
        })
    }
}

fn length(file: &File, name: &Path) -> Result<u64, BackupError> {
    let metadata = file.metadata().map_err(BackupError::file(name))?;
    Ok(metadata.len())
}

pub(super) fn index_name() -> PathBuf {
    Path::new(FOLDER).join(INDEX)
}

fn content_name() -> PathBuf {
    Path::new(FOLDER).join(CONTENT)
}

/// Whether this is content, which the index may name or not, or what backups keep of it.
pub(super) fn is_content(name: &Path) -> bool {
    let Ok(within) = name.strip_prefix(content_name()) else {
        return false;
    };
    let parts: Vec<_> = within.components().collect();
    match parts[..] {
        [Component::Normal(kept)] if kept == KEPT => true,
        [_, _, Component::Normal(file)] => file
            .to_str()
            .is_some_and(|file| uuid::Uuid::try_parse(file).is_ok()),
        _ => false,
    }
}
