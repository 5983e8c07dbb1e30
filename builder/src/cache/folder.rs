//! The folder of the cache, as it is found at start.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
    time::SystemTime,
};

use super::{
    index::Index,
    key::{self, CODE, COMPONENTS, DESCRIPTIONS},
};

/// Where files are written before they are renamed.
pub(super) const TEMPORARY: &str = "tmp";

/// Makes the folders where they are missing, empties the temporary one, removes whatever is no file
/// of the cache, and indexes the rest.
pub(super) fn scan(folder: &Path) -> io::Result<Index> {
    owner_only(folder)?;
    let temporary = folder.join(TEMPORARY);
    if temporary.exists() {
        fs::remove_dir_all(&temporary)?;
    }
    owner_only(&temporary)?;
    let mut found: Vec<(SystemTime, String, u64)> = Vec::new();
    for part in [DESCRIPTIONS, COMPONENTS, CODE] {
        let part_folder = folder.join(part);
        owner_only(&part_folder)?;
        for entry in fs::read_dir(part_folder)? {
            let entry = entry?;
            let path = format!("{part}/{}", entry.file_name().to_string_lossy());
            let metadata = entry.metadata()?;
            if metadata.is_file() && key::split(&path).is_some() {
                let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                found.push((used, path, metadata.len()));
            } else {
                tracing::warn!(path, "removed from the cache: it is no file of it");
                remove(&entry.path(), metadata.is_dir());
            }
        }
    }
    found.sort();
    let mut index = Index::default();
    for (_, path, size) in found {
        let Some((name, _)) = key::split(&path) else {
            continue;
        };
        if let Some(older) = index.insert(name.to_owned(), path.clone(), size) {
            remove(&folder.join(older), false);
        }
    }
    Ok(index)
}

/// What cannot be removed stays: it is not in the index, so it is never read.
fn remove(path: &Path, is_folder: bool) {
    let _ = if is_folder {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
}

fn owner_only(folder: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    // The root of a volume may belong to another user, with a group that is ours: it stays.
    match fs::set_permissions(folder, fs::Permissions::from_mode(0o700)) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
        _ => Ok(()),
    }
}
