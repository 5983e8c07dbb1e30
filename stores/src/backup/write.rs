//! Writing a backup.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{
    BackupError, CONTENTS, HEADING, SQLITE, WORK, is_data, may_be_sqlite,
    objects::{Objects, index_name, is_content},
};

/// Files that SQLite keeps beside its own: what is in them is in the copy.
const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Writes a backup of a store pod's folder to `out`; others may use the folder meanwhile. It needs room in the
/// folder for a copy of the largest SQLite file in it, and for the content of objects that are replaced or deleted
/// meanwhile.
///
/// # Errors
/// A file cannot be copied, or an object has lost its content: what was written is no backup then.
pub fn write(folder: &Path, out: impl Write) -> Result<(), BackupError> {
    let mut files = Vec::new();
    walk(folder, Path::new(""), &mut files)?;
    let work = tempfile::Builder::new().prefix(WORK).tempdir_in(folder);
    let work = work.map_err(BackupError::file(folder))?;
    let has_objects = files.iter().any(|file| file.name == index_name());
    let objects = has_objects.then(|| Objects::hold(folder, work.path()));
    let objects = objects.transpose()?;
    let mut archive = Archive {
        tar: tar::Builder::new(out),
        contents: format!("{HEADING}\n"),
    };
    for file in files.iter().filter(|file| file.is_sqlite) {
        let path = folder.join(&file.name);
        let copy = work.path().join("copy");
        copy_sqlite(&path, &copy)?;
        archive.add(&file.name, &copy)?;
        if let Some(objects) = objects.as_ref().filter(|_| file.name == index_name()) {
            objects.add(&copy, &mut archive)?;
        }
        fs::remove_file(&copy).map_err(BackupError::file(&copy))?;
    }
    // What SQLite says of other files is never newer than they are.
    files.clear();
    walk(folder, Path::new(""), &mut files)?;
    for file in files.iter().filter(|file| !file.is_sqlite) {
        archive.add(&file.name, &folder.join(&file.name))?;
    }
    archive.end()
}

struct Found {
    /// Relative to the folder.
    name: PathBuf,
    is_sqlite: bool,
}

fn walk(folder: &Path, within: &Path, found: &mut Vec<Found>) -> Result<(), BackupError> {
    let path = folder.join(within);
    let is_root = within.as_os_str().is_empty();
    let entries: io::Result<Vec<_>> = path.read_dir().and_then(Iterator::collect);
    let mut entries = match entries {
        // It went since it was listed, as folders of content do.
        Err(error) if !is_root && error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(BackupError::file(&path))?,
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        let is_sidecar = SIDECARS.iter().any(|sidecar| text.ends_with(sidecar));
        let name = within.join(&name);
        if is_sidecar || (is_root && !is_data(&text)) || is_content(&name) {
            continue;
        }
        let kind = entry.file_type().map_err(BackupError::file(&name))?;
        if kind.is_dir() {
            walk(folder, &name, found)?;
        } else if kind.is_file() {
            let path = folder.join(&name);
            // Content goes with its index alone: one that is none must not pass for another file.
            let is_sqlite =
                name == index_name() || is_sqlite(&path).map_err(BackupError::file(&path))?;
            found.push(Found { name, is_sqlite });
        }
    }
    Ok(())
}

fn is_sqlite(path: &Path) -> io::Result<bool> {
    if !may_be_sqlite(path) {
        return Ok(false);
    }
    let mut head = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(SQLITE.len() as u64).read_to_end(&mut head)?,
        // It went since it was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    Ok(head == SQLITE)
}

/// Copies what the file holds at one moment, whoever writes it meanwhile.
fn copy_sqlite(from: &Path, to: &Path) -> Result<(), BackupError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copied = Connection::open_with_flags(from, flags).and_then(|connection| {
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        connection.execute("VACUUM INTO ?", [to.to_string_lossy()])
    });
    copied.map(drop).map_err(BackupError::sqlite(from))
}

pub(super) struct Archive<W: Write> {
    tar: tar::Builder<W>,
    contents: String,
}

impl<W: Write> Archive<W> {
    fn add(&mut self, name: &Path, from: &Path) -> Result<(), BackupError> {
        let file = match File::open(from) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(BackupError::file(from)(error)),
        };
        self.add_file(name, &file)
    }

    pub(super) fn add_file(&mut self, name: &Path, file: &File) -> Result<(), BackupError> {
        let size = file.metadata().map_err(BackupError::file(name))?.len();
        self.append(name, size, file.take(size))?;
        let line = format!("{size} {}\n", name.display());
        self.contents.push_str(&line);
        Ok(())
    }

    fn append(&mut self, name: &Path, size: u64, data: impl Read) -> Result<(), BackupError> {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o600);
        let appended = self.tar.append_data(&mut header, name, data);
        appended.map_err(BackupError::Archive)
    }

    fn end(mut self) -> Result<(), BackupError> {
        let contents = std::mem::take(&mut self.contents);
        let size = contents.len() as u64;
        self.append(Path::new(CONTENTS), size, contents.as_bytes())?;
        let ended = self.tar.into_inner().and_then(|mut out| out.flush());
        ended.map_err(BackupError::Archive)
    }
}
