//! The work behind a builder: pulling images, compiling components, and what is kept of them.

use std::{sync::Arc, time::Duration};

use sha2::{Digest as _, Sha256};
use shoal_artifact::{Digest, Reason, Refusal};
use shoal_engine::EngineKey;
use tokio::time::timeout;

use super::pulls::Pulls;
use crate::{
    OpenError, Options, Source,
    cache::{Cache, Key, Pin},
    compile::{Compiler, Failure, Job},
    description::Description,
    metrics::Metrics,
    pull::{self, Fetched, Origin, no_room, storage},
    registry::{Clients, ImageReference},
    sign::SigningKey,
    single_flight::SingleFlight,
};

/// All that is asked of a registry for one image: manifests, layers and components.
const PULL_DEADLINE: Duration = Duration::from_secs(600);
const RETRY_SOON: Duration = Duration::from_secs(15);
/// What took too long once takes as long again, most likely.
const RETRY_SLOW: Duration = Duration::from_secs(60);

pub(super) struct Inner {
    pub(super) cache: Arc<Cache>,
    pub(super) compiler: Compiler,
    pub(super) key: SigningKey,
    pub(super) clients: Clients,
    pub(super) local_files: bool,
    pub(super) pulls: Pulls,
    pub(super) images: SingleFlight<Digest, Result<Described, Refusal>>,
    pub(super) code: SingleFlight<Key, Result<(), CodeFailure>>,
    pub(super) metrics: Metrics,
}

/// A description, and its components held in the cache.
#[derive(Clone)]
pub(super) struct Described {
    pub(super) description: Arc<Description>,
    pub(super) _pins: Arc<Vec<Pin>>,
}

#[derive(Clone, Debug)]
pub(super) enum CodeFailure {
    Compile(Failure),
    Refused(Refusal),
}

impl Inner {
    pub(super) fn open(options: Options) -> Result<Self, OpenError> {
        let folder = options.data_dir;
        let cache = Cache::open(
            &folder.join("cache"),
            options.cache_bytes,
            options.protection,
        )
        .map_err(|source| OpenError::Folder {
            folder: folder.clone(),
            source,
        })?;
        let key = SigningKey::load_or_create(&folder.join("signing-key"))?;
        let metrics = Metrics::default();
        Ok(Self {
            cache: Arc::new(cache),
            compiler: Compiler::new(options.compile_program, options.limits, metrics.clone()),
            key,
            clients: Clients::default(),
            local_files: options.local_files,
            pulls: Pulls::default(),
            images: SingleFlight::default(),
            code: SingleFlight::default(),
            metrics,
        })
    }

    /// What is known of an image, if every component that lacks code is there to be compiled.
    pub(super) async fn known(&self, key: &Key, engine_keys: &[EngineKey]) -> Option<Described> {
        let description = self.read_description(key).await?;
        let mut pins = Vec::new();
        for component in &description.components {
            let code = |engine: &EngineKey| Key::Code(component.digest.clone(), engine.clone());
            let held = engine_keys
                .iter()
                .map(|engine| self.cache.pin(&code(engine)));
            match held.collect::<Option<Vec<Pin>>>() {
                Some(held) => pins.extend(held),
                None => pins.push(self.cache.pin(&Key::Component(component.digest.clone()))?),
            }
        }
        Some(Described {
            description: Arc::new(description),
            _pins: Arc::new(pins),
        })
    }

    async fn read_description(&self, key: &Key) -> Option<Description> {
        let (cache, key) = (self.cache.clone(), key.clone());
        let read = move || {
            let content = cache.open_content(&key)?;
            let parsed = serde_json::from_reader(std::io::BufReader::new(content.file));
            // Of another version, perhaps: it is made again.
            parsed.inspect_err(|_| cache.remove(&key)).ok()
        };
        tokio::task::spawn_blocking(read).await.unwrap_or(None)
    }

    pub(super) async fn pull(
        &self,
        source: &Source,
        digest: &Digest,
        key: &Key,
    ) -> Result<Described, Refusal> {
        let started = tokio::time::Instant::now();
        let fetched = self.fetch(source, digest).await?;
        let variables = fetched.variables.clone();
        let pulled = pull::look(fetched, &source.image, &self.cache, &self.compiler).await?;
        let (mut components, mut pins) = (Vec::new(), Vec::new());
        for component in pulled {
            let key = Key::Component(component.description.digest.clone());
            let pin = self.cache.put(&key, component.file, &component.sha256);
            pins.push(pin.map_err(|error| no_room(&error))?);
            components.push(component.description);
        }
        let description = Description {
            components,
            variables,
        };
        pins.push(self.keep_description(key, &description)?);
        let seconds = started.elapsed().as_secs_f64();
        tracing::info!(image = source.image, %digest, seconds, "pulled");
        Ok(Described {
            description: Arc::new(description),
            _pins: Arc::new(pins),
        })
    }

    /// Gets the image, within its deadline, in the turn of its registry.
    async fn fetch(&self, source: &Source, digest: &Digest) -> Result<Fetched, Refusal> {
        let registry = registry(source)?;
        let Some(_place) = self.pulls.enter(&registry).await else {
            return Err(broken("pulling the image"));
        };
        let work = async {
            let origin = Origin::open(&self.clients, source, self.local_files).await?;
            pull::fetch(&origin, &source.image, digest, &self.cache).await
        };
        timeout(PULL_DEADLINE, work).await.unwrap_or_else(|_| {
            let (image, seconds) = (&source.image, PULL_DEADLINE.as_secs());
            let message = format!("image `{image}`: it was not pulled within {seconds} s");
            Err(Refusal::new(Reason::RegistryUnavailable, message).retry_after(RETRY_SLOW))
        })
    }

    fn keep_description(&self, key: &Key, description: &Description) -> Result<Pin, Refusal> {
        let bytes = serde_json::to_vec(description)
            .map_err(|error| storage(&std::io::Error::other(error)))?;
        let mut file = self.cache.temporary().map_err(|error| storage(&error))?;
        file.append(&bytes).map_err(|error| no_room(&error))?;
        self.cache
            .put(key, file, &Sha256::digest(&bytes).into())
            .map_err(|error| no_room(&error))
    }

    pub(super) async fn compile(
        &self,
        digest: Digest,
        engine_key: EngineKey,
    ) -> Result<(), CodeFailure> {
        let refused = |refusal| CodeFailure::Refused(refusal);
        let started = tokio::time::Instant::now();
        let (cache, key) = (self.cache.clone(), Key::Component(digest.clone()));
        let open = tokio::task::spawn_blocking(move || cache.open_content(&key)).await;
        // It was held a moment ago; only damage on the volume leads here. The next build pulls it.
        let Some(wasm) = open.unwrap_or(None) else {
            return Err(refused(broken("reading the component")));
        };
        let output = self
            .cache
            .temporary()
            .map_err(|error| refused(storage(&error)))?;
        let writer = output.reopen().map_err(|error| refused(storage(&error)))?;
        let job = Job::Compile(engine_key.clone());
        let (wasm, writer) = (
            tokio::fs::File::from_std(wasm.file),
            tokio::fs::File::from_std(writer),
        );
        let made = self
            .compiler
            .run(&job, wasm, writer)
            .await
            .map_err(CodeFailure::Compile)?;
        let key = Key::Code(digest.clone(), engine_key.clone());
        self.cache
            .put(&key, output, &made.sha256)
            .map_err(|error| refused(no_room(&error)))?;
        let (bytes, seconds) = (made.size, started.elapsed().as_secs_f64());
        tracing::info!(component = %digest, engine = %engine_key, bytes, seconds, "compiled");
        Ok(())
    }
}

/// What a description is kept under: repository and digest. Another repository's claim to hold this
/// digest proves nothing until its bytes were pulled from there.
pub(super) fn place(source: &Source, digest: &Digest) -> Result<Digest, Refusal> {
    let place = match source.image.strip_prefix("file:") {
        Some(_) => "file:".to_owned(),
        None => {
            let image = ImageReference::parse(&source.image)?;
            format!("{}/{}", image.registry(), image.repository())
        }
    };
    Ok(Digest::of(format!("{place}\0{digest}").as_bytes()))
}

/// Where an image is pulled from; files of this machine are a registry of their own.
fn registry(source: &Source) -> Result<String, Refusal> {
    if source.image.starts_with("file:") {
        return Ok(String::new());
    }
    ImageReference::parse(&source.image).map(|image| image.registry().to_owned())
}

/// Pulls with different rights are different work.
pub(super) fn flight_name(source: &Source, digest: &Digest) -> Digest {
    let mut hash = Sha256::new();
    let texts = [&source.image, &source.ca, digest.as_str()].map(str::as_bytes);
    let insecure = source.insecure.iter().map(String::as_bytes);
    let secrets = source.pull_secrets.iter().map(Vec::as_slice);
    for part in texts
        .into_iter()
        .chain(insecure)
        .chain([&b"secrets"[..]])
        .chain(secrets)
    {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Digest::from_sha256(&hash.finalize().into())
}

pub(super) fn broken(what: &str) -> Refusal {
    Refusal::new(
        Reason::BuilderUnavailable,
        format!("{what} failed in the builder"),
    )
    .retry_after(RETRY_SOON)
}
