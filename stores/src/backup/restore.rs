//! Making a folder from a backup.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File},
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{BackupError, CONTENTS, HEADING, SQLITE, WORK, clean, is_data, may_be_sqlite};

/// Largest list of contents that is read, in bytes.
const CONTENTS_BYTES: u64 = 256 * 1024 * 1024;

/// Makes `folder` what it was when the backup was written; the folder may be there, and hold nothing. Nobody
/// else may use it. With `replace`, what it holds goes once the backup was read whole and found good.
///
/// # Errors
/// The folder holds something, or the archive is no whole backup: then nothing is changed. A file cannot be
/// written.
pub fn restore(folder: &Path, archive: impl Read, replace: bool) -> Result<(), BackupError> {
    fs::create_dir_all(folder).map_err(BackupError::file(folder))?;
    let before = data_in(folder)?;
    if let Some(found) = before.first().filter(|_| !replace) {
        return Err(BackupError::NotEmpty {
            folder: folder.to_owned(),
            found: found.to_string_lossy().into_owned(),
        });
    }
    clean(folder);
    let work = tempfile::Builder::new().prefix(WORK).tempdir_in(folder);
    let work = work.map_err(BackupError::file(folder))?;
    let names = unpack(work.path(), archive)?;
    for name in &names {
        check(&work.path().join(name), name)?;
    }
    for name in before {
        remove(&folder.join(name))?;
    }
    for name in data_in(work.path())? {
        let to = folder.join(&name);
        fs::rename(work.path().join(&name), &to).map_err(BackupError::file(&to))?;
    }
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(BackupError::file(folder))
}

fn data_in(folder: &Path) -> Result<Vec<OsString>, BackupError> {
    let entries: Vec<_> = folder
        .read_dir()
        .and_then(Iterator::collect)
        .map_err(BackupError::file(folder))?;
    let names = entries.into_iter().map(|entry| entry.file_name());
    Ok(names
        .filter(|name| is_data(&name.to_string_lossy()))
        .collect())
}

fn remove(path: &Path) -> Result<(), BackupError> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.map_err(BackupError::file(path))
}

/// Writes the files of the archive into `folder`; returns their names.
fn unpack(folder: &Path, archive: impl Read) -> Result<Vec<PathBuf>, BackupError> {
    let mut archive = tar::Archive::new(archive);
    let mut sizes = BTreeMap::new();
    for entry in archive.entries().map_err(BackupError::Archive)? {
        let mut entry = entry.map_err(BackupError::Archive)?;
        let name = entry.path().map_err(BackupError::Archive)?.into_owned();
        if name == Path::new(CONTENTS) {
            let mut contents = String::new();
            let read = entry.take(CONTENTS_BYTES).read_to_string(&mut contents);
            read.map_err(BackupError::Archive)?;
            return compare(&contents, sizes);
        }
        if !entry.header().entry_type().is_file() || !is_plain(&name) {
            return Err(BackupError::NotABackup(format!(
                "it holds {}",
                name.display()
            )));
        }
        let size = save(&mut entry, &folder.join(&name))?;
        sizes.insert(name, size);
    }
    let message = "its end is missing".to_owned();
    Err(BackupError::NotABackup(message))
}

/// Whether the name leads nowhere but into the folder.
fn is_plain(name: &Path) -> bool {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    let first = name.components().next();
    let is_data = first.is_some_and(|part| is_data(&part.as_os_str().to_string_lossy()));
    is_data && name.components().all(plain)
}

fn save(entry: &mut impl Read, path: &Path) -> Result<u64, BackupError> {
    let parent = path.parent().unwrap_or(path);
    let written = fs::create_dir_all(parent).and_then(|()| {
        let mut file = File::options().write(true).create_new(true).open(path)?;
        let size = io::copy(entry, &mut file)?;
        file.sync_all()?;
        Ok(size)
    });
    written.map_err(BackupError::file(path))
}

fn compare(contents: &str, mut sizes: BTreeMap<PathBuf, u64>) -> Result<Vec<PathBuf>, BackupError> {
    let broken = |what: String| BackupError::NotABackup(what);
    let lines = contents.strip_prefix(HEADING).ok_or_else(|| {
        broken("another version of Shoal wrote it; restore it with that one".to_owned())
    })?;
    let mut names = Vec::new();
    for line in lines.lines().filter(|line| !line.is_empty()) {
        let (size, name) = line
            .split_once(' ')
            .ok_or_else(|| broken(format!("`{line}` is in its list of files")))?;
        let name = PathBuf::from(name);
        if sizes.remove(&name).map(|size| size.to_string()).as_deref() != Some(size) {
            return Err(broken(format!("{} is not whole", name.display())));
        }
        names.push(name);
    }
    match sizes.into_keys().next() {
        None => Ok(names),
        Some(name) => Err(broken(format!(
            "{} is not in its list of files",
            name.display()
        ))),
    }
}

/// Refuses a SQLite file that is not sound.
fn check(path: &Path, name: &Path) -> Result<(), BackupError> {
    let mut head = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(SQLITE.len() as u64).read_to_end(&mut head));
    read.map_err(BackupError::file(path))?;
    if !may_be_sqlite(name) || head != SQLITE {
        return Ok(());
    }
    let found = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .and_then(|file| file.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)));
    let found: String = found.map_err(BackupError::sqlite(name))?;
    if found == "ok" {
        return Ok(());
    }
    let message = format!("{} is damaged: {found}", name.display());
    Err(BackupError::NotABackup(message))
}
