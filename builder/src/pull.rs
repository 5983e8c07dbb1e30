//! From an image to files of its components, and what is in them.

mod container;
mod look;
mod origin;

use std::{collections::HashMap, io, sync::Arc, time::Duration};

pub(crate) use look::look;
pub(crate) use origin::Origin;
use shoal_artifact::{
    AppPlan, ComponentPlan, Digest, Reason, Refusal, WasmSource, inspect, limits,
    oci::{self, Format, ImageManifest, Manifest},
    plan, spin,
    variables::Declared,
};

use crate::cache::{Cache, CacheError, Temporary};

/// Other pulls end, and the volume may be mended.
const RETRY_SOON: Duration = Duration::from_secs(15);

/// An image's components as its registry gave them.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// Variables that the app declares.
    pub(crate) variables: Declared,
    components: Vec<(ComponentPlan, Temporary)>,
}

/// Gets all that is needed of the image of this manifest digest.
pub(crate) async fn fetch(
    origin: &Origin,
    image_name: &str,
    digest: &Digest,
    cache: &Arc<Cache>,
) -> Result<Fetched, Refusal> {
    let image = read_image(origin, digest).await?;
    let (plan, files) = read_plan(origin, &image, cache).await?;
    let (mut components, mut bytes) = (Vec::new(), 0_u64);
    for component in plan.components {
        let subject = subject(image_name, &component.name);
        if let WasmSource::Blob { size, .. } = &component.wasm {
            check_size(size.saturating_add(bytes), "components", cache)?;
        }
        let file = component_file(origin, &component, &subject, &files, cache).await?;
        bytes += file.size().map_err(|error| storage(&error))?;
        components.push((component, file));
    }
    Ok(Fetched {
        variables: plan.variables,
        components,
    })
}

/// How messages name a component: by its name, else by the image whose only one it is.
pub(crate) fn subject(image: &str, name: &str) -> String {
    if name.is_empty() {
        let path = image.strip_prefix("file:").unwrap_or(image);
        format!("the component of `{path}`")
    } else {
        plan::subject(name)
    }
}

/// Refuses an image that never fits, whatever else is pulled.
fn check_size(bytes: u64, what: &str, cache: &Cache) -> Result<(), Refusal> {
    let bound = cache.temporary_bytes();
    if bytes <= bound {
        return Ok(());
    }
    let message = format!(
        "the image's {what} are larger than {} MiB together, a quarter of the builder's --cache-bytes",
        bound >> 20
    );
    Err(Refusal::new(Reason::UnsupportedArtifact, message))
}

/// Files of a container image, by their path in it.
type Files = HashMap<String, Temporary>;

async fn read_plan(
    origin: &Origin,
    image: &ImageManifest,
    cache: &Arc<Cache>,
) -> Result<(AppPlan, Files), Refusal> {
    let config = if image.config_decides() {
        let bytes = origin.small_blob(&image.config, limits::CONFIG_BYTES).await;
        Some(bytes?)
    } else {
        None
    };
    match image.format(config.as_deref())? {
        Format::Component(layer) => {
            let (digest, size) = (layer.digest, layer.size);
            let plan = AppPlan::single(WasmSource::Blob { digest, size });
            Ok((plan, Files::new()))
        }
        Format::Spin(locked) => {
            let locked = origin.small_blob(&locked, limits::CONFIG_BYTES).await?;
            let plan = spin::locked::read(&locked, &image.layers)?;
            Ok((plan, Files::new()))
        }
        Format::Container(layers) => {
            let (plan, files) = container::read(origin, layers, cache).await?;
            Ok((plan, files.into_iter().collect()))
        }
    }
}

async fn component_file(
    origin: &Origin,
    component: &ComponentPlan,
    subject: &str,
    files: &Files,
    cache: &Cache,
) -> Result<Temporary, Refusal> {
    match &component.wasm {
        WasmSource::Blob { digest, size } => {
            component_blob(origin, digest, *size, subject, cache).await
        }
        WasmSource::Inline(inline) => temporary(cache, inline),
        // Two components may have the same source.
        WasmSource::File(path) => match files.get(path) {
            Some(file) => copy(file, cache).await.map_err(|error| no_room(&error)),
            None => Err(storage(&io::ErrorKind::NotFound.into())),
        },
    }
}

async fn read_image(origin: &Origin, digest: &Digest) -> Result<ImageManifest, Refusal> {
    match oci::read_manifest(&origin.manifest(digest).await?)? {
        Manifest::Image(image) => Ok(image),
        Manifest::Index(entry) => match oci::read_manifest(&origin.manifest(&entry.digest).await?)?
        {
            Manifest::Image(image) => Ok(image),
            Manifest::Index(_) => {
                let message = "the image's index names another index";
                Err(Refusal::new(Reason::UnsupportedArtifact, message))
            }
        },
    }
}

async fn component_blob(
    origin: &Origin,
    digest: &Digest,
    size: u64,
    subject: &str,
    cache: &Cache,
) -> Result<Temporary, Refusal> {
    if size > limits::COMPONENT_BYTES {
        return Err(inspect::too_large(subject));
    }
    let mut file = temporary(cache, &[])?;
    origin.blob(digest, size, &mut file).await?;
    Ok(file)
}

async fn copy(file: &Temporary, cache: &Cache) -> Result<Temporary, CacheError> {
    let mut copy = cache.temporary()?;
    copy.reserve(file.size()?)?;
    let mut from = tokio::fs::File::from_std(file.reopen()?);
    let mut to = tokio::fs::File::from_std(copy.reopen()?);
    tokio::io::copy(&mut from, &mut to).await?;
    tokio::io::AsyncWriteExt::flush(&mut to).await?;
    Ok(copy)
}

fn temporary(cache: &Cache, content: &[u8]) -> Result<Temporary, Refusal> {
    let mut file = cache.temporary().map_err(|error| storage(&error))?;
    file.append(content).map_err(|error| no_room(&error))?;
    Ok(file)
}

/// What was pulled or made cannot be kept.
pub(crate) fn no_room(error: &CacheError) -> Refusal {
    Refusal::new(
        Reason::BuilderUnavailable,
        format!("the builder cannot keep the app: {error}"),
    )
    .retry_after(RETRY_SOON)
}

/// The builder's own volume failed.
pub(crate) fn storage(error: &io::Error) -> Refusal {
    Refusal::new(
        Reason::BuilderUnavailable,
        format!("the builder's volume failed: {error}"),
    )
    .retry_after(RETRY_SOON)
}
