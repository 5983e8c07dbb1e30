//! Container images: their layers on the volume, and the files that are wanted out of them.

use std::{
    fs::File,
    io::{self, Read},
    sync::Arc,
};

use shoal_artifact::{AppPlan, Reason, Refusal, WasmSource, container, limits, oci::Descriptor};

use super::{Origin, no_room, temporary};
use crate::cache::{Cache, CacheError, Temporary};

struct Layers(Vec<Temporary>);

impl container::Layers for Layers {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn open(&self, index: usize) -> io::Result<Box<dyn Read>> {
        let layer: Option<&Temporary> = self.0.get(index);
        let file: File = layer.ok_or(io::ErrorKind::NotFound)?.reopen()?;
        Ok(Box::new(file))
    }
}

type Files = Vec<(String, Temporary)>;

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
    super::check_size(stated, "layers", cache)?;
    let mut files = Vec::new();
    for layer in &layers {
        let mut file = temporary(cache, &[])?;
        origin.layer(layer, &mut file).await?;
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
    let (mut files, mut failed) = (Files::new(), None);
    let extracted = container::extract(
        layers,
        &paths,
        limits::COMPONENT_BYTES,
        &mut |path, content| {
            let mut file = cache
                .temporary()
                .map_err(|error| fail(&mut failed, error))?;
            let mut buffer = vec![0; 64 << 10];
            loop {
                let count = content.read(&mut buffer)?;
                match buffer.get(..count) {
                    Some(chunk) if !chunk.is_empty() => {
                        file.append(chunk)
                            .map_err(|error| fail(&mut failed, error))?;
                    }
                    _ => break,
                }
            }
            files.push((path.to_owned(), file));
            Ok(())
        },
    );
    // Told apart from layers that cannot be read: the image is not to blame.
    match failed {
        Some(error) => Err(no_room(&error)),
        None => extracted.map(|()| (plan, files)),
    }
}

fn fail(failed: &mut Option<CacheError>, error: impl Into<CacheError>) -> io::Error {
    *failed = Some(error.into());
    io::ErrorKind::Other.into()
}
