//! Container images made `FROM scratch` that hold `/spin.toml` and the components it names.
//!
//! Layers are tar archives, plain or gzip, read in order: a later one replaces or removes what an
//! earlier one holds (<https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md>). Only
//! the files that are asked for are kept; the rest is read past, within bounds.

mod archive;

use std::{collections::HashMap, io::Read};

use crate::{AppPlan, Reason, Refusal, WasmSource, limits, spin};
use archive::{Entry, EntryKind};

/// Opens the layers of an image for reading, lowest first, as often as it is asked.
pub trait Layers {
    /// How many there are.
    fn count(&self) -> usize;
    /// Opens one, as it was pulled.
    ///
    /// # Errors
    /// Of the storage that it is kept in.
    fn open(&self, index: usize) -> std::io::Result<Box<dyn Read>>;
}

/// Where a file is: layer, and entry within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    layer: usize,
    entry: u64,
    is_file: bool,
}

/// Reads `/spin.toml` of an image. Component sources are paths in the image.
///
/// # Errors
/// There is none, it is not served (see [`spin::manifest::read`]), or the layers are not valid.
pub fn read_app(layers: &dyn Layers) -> Result<AppPlan, Refusal> {
    let mut text = String::new();
    extract(
        layers,
        &["spin.toml"],
        limits::CONFIG_BYTES,
        &mut |_, file| file.read_to_string(&mut text).map(|_| ()),
    )?;
    let mut plan = spin::manifest::read(&text)?;
    for component in &mut plan.components {
        let subject = component.subject();
        if let WasmSource::File(path) = &mut component.wasm {
            *path = archive::normalise(path).ok_or_else(|| {
                refuse(format!(
                    "{subject} has a source outside of the image: `{path}`"
                ))
            })?;
        }
    }
    Ok(plan)
}

/// Hands the named files over, in the order in which the layers hold them. Each is at most
/// `max_bytes` long.
///
/// # Errors
/// One is missing, is no regular file or too long, or the layers are not valid.
pub fn extract(
    layers: &dyn Layers,
    paths: &[&str],
    max_bytes: u64,
    sink: &mut dyn FnMut(&str, &mut dyn Read) -> std::io::Result<()>,
) -> Result<(), Refusal> {
    let places = locate(layers, paths)?;
    for path in paths {
        match places.get(*path) {
            None => return Err(refuse(format!("the image has no file `/{path}`"))),
            Some(place) if !place.is_file => {
                return Err(refuse(format!(
                    "`/{path}` of the image is a link; it must be a file"
                )));
            }
            Some(_) => {}
        }
    }
    visit(layers, &mut |layer, entry| {
        let place = places.get(entry.path.as_str());
        if place.is_none_or(|place| (place.layer, place.entry) != (layer, entry.number)) {
            return Ok(());
        }
        if entry.size > max_bytes {
            let bound = max_bytes >> 20;
            return Err(refuse(format!(
                "`/{}` of the image is larger than {bound} MiB",
                entry.path
            )));
        }
        let path = entry.path.clone();
        sink(&path, &mut entry.content.take(max_bytes)).map_err(|error| invalid(layer, &error))
    })
}

/// Finds which entry of which layer each path ends up with.
fn locate<'p>(layers: &dyn Layers, paths: &[&'p str]) -> Result<HashMap<&'p str, Place>, Refusal> {
    let mut places: HashMap<&str, Place> = HashMap::new();
    // Whiteouts remove what lower layers hold, and nothing of their own.
    visit(layers, &mut |layer, entry| {
        for path in paths {
            let removes = match &entry.kind {
                EntryKind::File | EntryKind::Link => {
                    if entry.path == *path {
                        let is_file = matches!(entry.kind, EntryKind::File);
                        places.insert(
                            path,
                            Place {
                                layer,
                                entry: entry.number,
                                is_file,
                            },
                        );
                        continue;
                    }
                    is_below(path, &entry.path)
                }
                EntryKind::Directory => entry.path == *path,
                EntryKind::Whiteout => entry.path == *path || is_below(path, &entry.path),
                EntryKind::OpaqueDirectory => is_below(path, &entry.path),
            };
            let is_whiteout =
                matches!(entry.kind, EntryKind::Whiteout | EntryKind::OpaqueDirectory);
            if removes
                && places
                    .get(path)
                    .is_some_and(|place| !is_whiteout || place.layer < layer)
            {
                places.remove(path);
            }
        }
        Ok(())
    })?;
    Ok(places)
}

fn is_below(path: &str, directory: &str) -> bool {
    directory.is_empty()
        || path
            .strip_prefix(directory)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// Walks over all entries of all layers, within the bounds of the whole image.
fn visit(
    layers: &dyn Layers,
    visitor: &mut dyn FnMut(usize, &mut Entry<'_>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let (mut bytes_left, mut entries_left) = (limits::UNPACKED_BYTES, limits::ARCHIVE_ENTRIES);
    for layer in 0..layers.count() {
        let file = layers.open(layer).map_err(|error| invalid(layer, &error))?;
        let mut budget = archive::Budget {
            bytes: bytes_left,
            entries: entries_left,
        };
        archive::walk(file, &mut budget, &mut |entry| visitor(layer, entry)).map_err(
            |problem| match problem {
                archive::Problem::Io(error) => invalid(layer, &error),
                archive::Problem::Refused(refusal) => refusal,
                archive::Problem::TooLarge => refuse(format!(
                    "the image unpacks to more than {} MiB or {} files",
                    limits::UNPACKED_BYTES >> 20,
                    limits::ARCHIVE_ENTRIES
                )),
            },
        )?;
        (bytes_left, entries_left) = (budget.bytes, budget.entries);
    }
    Ok(())
}

fn refuse(message: String) -> Refusal {
    Refusal::new(Reason::UnsupportedArtifact, message)
}

fn invalid(layer: usize, error: &std::io::Error) -> Refusal {
    refuse(format!(
        "layer {layer} of the image cannot be read: {error}"
    ))
}

#[cfg(test)]
mod tests;
