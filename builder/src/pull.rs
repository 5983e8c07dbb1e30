//! From an image to files of its components, inspected and made components where they were none.

mod container;
mod origin;

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _, Write as _},
    sync::Arc,
};

use sha2::{Digest as _, Sha256};
use shoal_artifact::{
    AppPlan, ComponentFacts, ComponentPlan, Digest, Reason, Refusal, WasmSource, inspect, limits,
    oci::{self, Format, ImageManifest, Manifest},
    spin,
};
use tempfile::NamedTempFile;

pub(crate) use origin::Origin;

use crate::{
    cache::Cache,
    compile::{Compiler, Job},
    description::ComponentDescription,
};

/// All components of an image together, in bytes.
const IMAGE_BYTES: u64 = 1 << 30;

/// A component that was pulled.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) description: ComponentDescription,
    pub(crate) file: NamedTempFile,
    pub(crate) sha256: [u8; 32],
}

/// Pulls the image of this manifest digest and looks into it.
pub(crate) async fn pull(
    origin: &Origin,
    digest: &Digest,
    cache: &Arc<Cache>,
    compiler: &Compiler,
) -> Result<Vec<Pulled>, Refusal> {
    let image = read_image(origin, digest).await?;
    let (plan, files) = read_plan(origin, &image, cache).await?;
    let (mut pulled, mut bytes) = (Vec::new(), 0);
    for component in plan.components {
        let file = component_file(origin, &component, &files, cache).await?;
        let length = file.as_file().metadata().map(|metadata| metadata.len());
        bytes += length.map_err(|error| storage(&error))?;
        if bytes > IMAGE_BYTES {
            let bound = IMAGE_BYTES >> 20;
            let message = format!("the image's components are larger than {bound} MiB");
            return Err(Refusal::new(Reason::UnsupportedArtifact, message));
        }
        pulled.push(look_into(component, file, cache, compiler).await?);
    }
    Ok(pulled)
}

/// Files of a container image, by their path in it.
type Files = HashMap<String, NamedTempFile>;

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
    files: &Files,
    cache: &Cache,
) -> Result<NamedTempFile, Refusal> {
    match &component.wasm {
        WasmSource::Blob { digest, size } => {
            component_blob(origin, digest, *size, &component.subject(), cache).await
        }
        WasmSource::Inline(inline) => temporary(cache, inline),
        // Two components may have the same source.
        WasmSource::File(path) => match files.get(path) {
            Some(file) => copy(file, cache).await.map_err(|error| storage(&error)),
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
) -> Result<NamedTempFile, Refusal> {
    if size > limits::COMPONENT_BYTES {
        return Err(inspect::too_large(subject));
    }
    let file = temporary(cache, &[])?;
    origin.blob(digest, size, &file).await?;
    Ok(file)
}

/// Inspects a component; makes it one where it is a core module.
async fn look_into(
    plan: ComponentPlan,
    file: NamedTempFile,
    cache: &Cache,
    compiler: &Compiler,
) -> Result<Pulled, Refusal> {
    let subject = plan.subject();
    let (mut facts, mut file, mut sha256) = inspect_file(subject.clone(), file).await?;
    if facts.is_core_module {
        let output = temporary(cache, &[])?;
        let reopen = |file: &NamedTempFile| {
            file.reopen()
                .map(tokio::fs::File::from_std)
                .map_err(|error| storage(&error))
        };
        compiler
            .run(&Job::Componentise, reopen(&file)?, reopen(&output)?)
            .await
            .map_err(|failure| failure.refusal(&subject, compiler.limits()))?;
        (facts, file, sha256) = inspect_file(subject.clone(), output).await?;
    }
    facts.check(&subject)?;
    let stores = plan.key_value_stores.unwrap_or_else(|| {
        // What the manifest says nothing about is what Spin and Shoal call the first store.
        facts
            .opens_key_value()
            .then(|| "default".to_owned())
            .into_iter()
            .collect()
    });
    let description = ComponentDescription {
        name: plan.name,
        digest: Digest::from_sha256(&sha256),
        routes: plan.routes,
        env: plan.env,
        key_value_stores: stores,
        imports: facts.imports,
    };
    Ok(Pulled {
        description,
        file,
        sha256,
    })
}

/// Reads a file whole, off the asynchronous threads.
async fn inspect_file(
    subject: String,
    file: NamedTempFile,
) -> Result<(ComponentFacts, NamedTempFile, [u8; 32]), Refusal> {
    let work = move || {
        let mut bytes = Vec::new();
        let read = file.reopen().and_then(|reader: File| {
            reader
                .take(limits::COMPONENT_BYTES + 1)
                .read_to_end(&mut bytes)
        });
        read.map_err(|error| storage(&error))?;
        let facts = inspect(&subject, &bytes)?;
        Ok((facts, file, Sha256::digest(&bytes).into()))
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        let message = "the component could not be read: the reader gave up on it";
        Err(Refusal::new(Reason::InvalidWasm, message))
    })
}

async fn copy(file: &NamedTempFile, cache: &Cache) -> io::Result<NamedTempFile> {
    let copy = cache.temporary()?;
    let mut from = tokio::fs::File::from_std(file.reopen()?);
    let mut to = tokio::fs::File::from_std(copy.reopen()?);
    tokio::io::copy(&mut from, &mut to).await?;
    tokio::io::AsyncWriteExt::flush(&mut to).await?;
    Ok(copy)
}

fn temporary(cache: &Cache, content: &[u8]) -> Result<NamedTempFile, Refusal> {
    let mut file = cache.temporary().map_err(|error| storage(&error))?;
    file.write_all(content).map_err(|error| storage(&error))?;
    Ok(file)
}

/// The builder's own volume failed.
pub(crate) fn storage(error: &std::io::Error) -> Refusal {
    Refusal::new(
        Reason::BuilderUnavailable,
        format!("the builder's volume failed: {error}"),
    )
    .retry_after(std::time::Duration::from_secs(15))
}
