//! One layer: a tar archive, plain or gzip.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, EntryType, PaxExtensions};

use crate::Refusal;

/// Longest name of an entry that is read; longer ones cannot be what is looked for.
const NAME_BYTES: u64 = 64 << 10;

/// What may still be unpacked.
pub(super) struct Budget {
    pub(super) bytes: u64,
    pub(super) entries: u64,
}

pub(super) enum Problem {
    Io(io::Error),
    Refused(Refusal),
    TooLarge,
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What an entry does to the tree of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    File,
    /// A link, device or pipe.
    Link,
    Directory,
    /// Removes this path of lower layers.
    Whiteout,
    /// Removes what lower layers hold below this path.
    OpaqueDirectory,
}

pub(super) struct Entry<'a> {
    /// Without leading and trailing slashes, or what it removes.
    pub(super) path: String,
    /// Its position in the layer.
    pub(super) number: u64,
    pub(super) kind: EntryKind,
    pub(super) size: u64,
    pub(super) content: &'a mut dyn Read,
}

/// Walks over the entries of a layer.
pub(super) fn walk(
    layer: impl Read,
    budget: &mut Budget,
    visitor: &mut dyn FnMut(&mut Entry<'_>) -> Result<(), Refusal>,
) -> Result<(), Problem> {
    let mut reader = BufReader::new(layer);
    let is_gzip = reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    let tar: Box<dyn Read + '_> = if is_gzip {
        Box::new(MultiGzDecoder::new(reader))
    } else {
        Box::new(reader)
    };
    let mut metered = Metered {
        inner: tar,
        left: budget.bytes,
    };
    let result = walk_tar(&mut metered, &mut budget.entries, visitor);
    budget.bytes = metered.left;
    match result {
        // Past the budget the reader fails; whatever that broke is not the archive's fault.
        Err(Problem::Io(_)) if budget.bytes == 0 => Err(Problem::TooLarge),
        other => other,
    }
}

fn walk_tar(
    tar: &mut dyn Read,
    entries_left: &mut u64,
    visitor: &mut dyn FnMut(&mut Entry<'_>) -> Result<(), Refusal>,
) -> Result<(), Problem> {
    let mut archive = Archive::new(tar);
    // Raw: the reader would otherwise keep names of any length in memory.
    let entries = archive.entries()?.raw(true);
    let mut long_name: Option<String> = None;
    for (number, entry) in entries.enumerate() {
        *entries_left = entries_left.checked_sub(1).ok_or(Problem::TooLarge)?;
        let mut entry = entry?;
        let entry_type = entry.header().entry_type();
        match entry_type {
            EntryType::GNULongName => long_name = read_long_name(&mut entry)?,
            EntryType::XHeader => long_name = read_pax_path(&mut entry)?.or(long_name),
            EntryType::GNULongLink | EntryType::XGlobalHeader => {}
            _ => {
                let header_name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                let name = long_name.take().unwrap_or(header_name);
                let Some((path, kind)) = classify(&name, entry_type) else {
                    continue;
                };
                let size = entry.size();
                visitor(&mut Entry {
                    path,
                    number: number as u64,
                    kind,
                    size,
                    content: &mut entry,
                })
                .map_err(Problem::Refused)?;
            }
        }
    }
    Ok(())
}

fn read_bounded(entry: &mut dyn Read) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    entry.take(NAME_BYTES + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= NAME_BYTES).then_some(bytes))
}

fn read_long_name(entry: &mut dyn Read) -> io::Result<Option<String>> {
    // A name past the bound is kept as one that matches nothing.
    let bytes = read_bounded(entry)?.unwrap_or_default();
    let name = String::from_utf8_lossy(&bytes);
    Ok(Some(name.trim_end_matches('\0').to_owned()))
}

fn read_pax_path(entry: &mut dyn Read) -> io::Result<Option<String>> {
    let Some(bytes) = read_bounded(entry)? else {
        return Ok(Some(String::new()));
    };
    for extension in PaxExtensions::new(&bytes) {
        let extension = extension?;
        if extension.key_bytes() == b"path" {
            return Ok(Some(
                String::from_utf8_lossy(extension.value_bytes()).into_owned(),
            ));
        }
    }
    Ok(None)
}

fn classify(name: &str, entry_type: EntryType) -> Option<(String, EntryKind)> {
    let path = normalise(name)?;
    let (directory, file) = path.rsplit_once('/').unwrap_or(("", &path));
    if file == ".wh..wh..opq" {
        return Some((directory.to_owned(), EntryKind::OpaqueDirectory));
    }
    if let Some(removed) = file.strip_prefix(".wh.") {
        let path = if directory.is_empty() {
            removed.to_owned()
        } else {
            format!("{directory}/{removed}")
        };
        return Some((path, EntryKind::Whiteout));
    }
    let kind = match entry_type {
        EntryType::Regular | EntryType::Continuous => EntryKind::File,
        EntryType::Directory => EntryKind::Directory,
        _ => EntryKind::Link,
    };
    Some((path, kind))
}

/// A path without leading slashes and `.` segments; `None` where it leads out of the image, or is
/// the image's root.
pub(super) fn normalise(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// Fails once more than `left` bytes were read.
struct Metered<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) if left > 0 || count == 0 => self.left = left,
            _ => {
                self.left = 0;
                return Err(io::Error::other("past the bound of unpacked bytes"));
            }
        }
        Ok(count)
    }
}
