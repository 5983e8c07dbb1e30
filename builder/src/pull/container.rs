//! Container images: their layers on the volume, and the files that are wanted out of them.

use std::{
    fs::File,
    io::{self, Read},
    sync::Arc,
};

use shoal_artifact::{AppPlan, Reason, Refusal, WasmSource, container, limits, oci::Descriptor};
use tempfile::NamedTempFile;

use super::{Origin, temporary};
use crate::cache::Cache;

/// Layers of an image together as they are pulled, in bytes.
const LAYERS_BYTES: u64 = 1 << 30;

struct Layers(Vec<NamedTempFile>);

impl container::Layers for Layers {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn open(&self, index: usize) -> io::Result<Box<dyn Read>> {
        let layer: Option<&NamedTempFile> = self.0.get(index);
        let file: File = layer.ok_or(io::ErrorKind::NotFound)?.reopen()?;
        Ok(Box::new(file))
    }
}

type Files = Vec<(String, NamedTempFile)>;

/// Pulls the layers, reads `/spin.toml` and takes out the components that it names.
pub(super) async fn read(
    origin: &Origin,
    layers: Vec<Descriptor>,
    cache: &Arc<Cache>,
) -> Result<(AppPlan, Files), Refusal> {
    let stated = layers
        .iter()
        .map(|layer| layer.size)
        .fold(0, u64::saturating_add);
    if stated > LAYERS_BYTES {
        let message = format!(
            "the image's layers are larger than {} MiB",
            LAYERS_BYTES >> 20
        );
        return Err(Refusal::new(Reason::UnsupportedArtifact, message));
    }
    let mut files = Vec::new();
    for layer in &layers {
        let file = temporary(cache, &[])?;
        origin.layer(layer, &file).await?;
        files.push(file);
    }
    let layers = Layers(files);
    let cache = cache.clone();
    let work = move || extract(&layers, &cache);
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        let message = "the image could not be read: the reader gave up on it";
        Err(Refusal::new(Reason::UnsupportedArtifact, message))
    })
}

fn extract(layers: &Layers, cache: &Cache) -> Result<(AppPlan, Files), Refusal> {
    let plan = container::read_app(layers)?;
    let mut paths: Vec<&str> = plan
        .components
        .iter()
        .filter_map(|component| match &component.wasm {
            WasmSource::File(path) => Some(path.as_str()),
            WasmSource::Blob { .. } | WasmSource::Inline(_) => None,
        })
        .collect();
    paths.sort_unstable();
    paths.dedup();
    let mut files: Files = Vec::new();
    container::extract(
        layers,
        &paths,
        limits::COMPONENT_BYTES,
        &mut |path, content| {
            let mut file = cache.temporary()?;
            io::copy(content, &mut file)?;
            files.push((path.to_owned(), file));
            Ok(())
        },
    )?;
    Ok((plan, files))
}
