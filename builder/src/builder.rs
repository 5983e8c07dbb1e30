//! Resolve, build, fetch: what `shoal-builder` serves, and what `shoal up` calls in process.

mod pulls;
mod work;

use std::sync::Arc;

use futures::future::try_join_all;
use shoal_artifact::{Digest, Refusal};
use shoal_engine::EngineKey;

use crate::{
    OpenError, Options, Source,
    cache::Key,
    description::Description,
    metrics::Metrics,
    pull::{self, Origin},
};
use work::{CodeFailure, Described, Inner};

/// A builder. Clones are the same builder.
///
/// **Whose rights count.** What is in the cache is given to whoever asks. So the caller (the
/// operator, or `shoal up`) calls [`BuilderHandle::resolve`] with the App's own credentials before
/// [`BuilderHandle::build`], for digest references too, and lets nobody fetch code that this did not
/// earn. [`BuilderHandle::build`] itself asks no registry where it knows what a repository holds
/// under a digest; it never takes another repository's word for it.
#[derive(Clone)]
pub struct BuilderHandle {
    inner: Arc<Inner>,
}
/// Compiled code, open for reading.
#[derive(Debug)]
pub struct Code {
    /// At its start.
    pub file: std::fs::File,
    /// Its length in bytes.
    pub size: u64,
    /// Ed25519, over component digest, engine key and hash of the code.
    pub signature: Vec<u8>,
}
impl BuilderHandle {
    /// Opens key and cache, or makes them.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(options: Options) -> Result<Self, OpenError> {
        Ok(Self {
            inner: Arc::new(Inner::open(options)?),
        })
    }

    /// Tag or digest to digest, with the rights of `source`. One request to the registry, also for
    /// a digest: it says whether these rights suffice.
    ///
    /// # Errors
    /// The image is not there, or not for these credentials, or the registry is away.
    pub async fn resolve(&self, source: &Source) -> Result<Digest, Refusal> {
        let inner = &self.inner;
        let resolve = async {
            Origin::open(&inner.clients, source, inner.local_files)
                .await?
                .resolve()
                .await
        };
        let result = resolve.await;
        inner.metrics.asked("resolve", &result);
        result
    }

    /// Makes sure that the components of the image of this manifest digest are compiled for the
    /// engines, and says what they are. No engines: inspect only.
    ///
    /// The work goes on when the caller goes away, and is done once however many ask at once.
    ///
    /// # Errors
    /// Why the image does not run.
    pub async fn build(
        &self,
        source: &Source,
        digest: &Digest,
        engine_keys: &[EngineKey],
    ) -> Result<Description, Refusal> {
        let result = self.build_all(source, digest, engine_keys).await;
        self.inner.metrics.asked("build", &result);
        let (bytes, files) = self.inner.cache.usage();
        self.inner.metrics.cached(bytes, files);
        result
    }

    /// Of the engines, those for which the code of every component is kept, and whole. What is
    /// damaged is removed: the next [`BuilderHandle::build`] makes it again.
    pub async fn served(
        &self,
        description: &Description,
        engine_keys: &[EngineKey],
    ) -> Vec<EngineKey> {
        let components = description.components.iter();
        let digests: Vec<Digest> = components.map(|one| one.digest.clone()).collect();
        let (inner, engine_keys) = (self.inner.clone(), engine_keys.to_vec());
        let work = move || {
            let is_served = |engine_key: &EngineKey| {
                digests.iter().all(|digest| {
                    let key = Key::Code(digest.clone(), engine_key.clone());
                    inner.cache.open_content(&key).is_some()
                })
            };
            engine_keys.into_iter().filter(is_served).collect()
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_default()
    }

    /// The signed code of a component for an engine; `None`: it was not built, or is no longer kept.
    pub async fn fetch(&self, digest: &Digest, engine_key: &EngineKey) -> Option<Code> {
        let inner = self.inner.clone();
        let (digest, engine_key) = (digest.clone(), engine_key.clone());
        let work = move || {
            let content = inner
                .cache
                .open_content(&Key::Code(digest.clone(), engine_key.clone()))?;
            let signature = inner.key.sign(&digest, &engine_key, &content.sha256);
            Some(Code {
                file: content.file,
                size: content.size,
                signature,
            })
        };
        tokio::task::spawn_blocking(work).await.unwrap_or(None)
    }

    /// Ed25519 public keys of 32 bytes whose signatures are valid now.
    pub fn code_keys(&self) -> Vec<Vec<u8>> {
        vec![self.inner.key.public_key()]
    }

    /// What this builder counts.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    async fn build_all(
        &self,
        source: &Source,
        digest: &Digest,
        engine_keys: &[EngineKey],
    ) -> Result<Description, Refusal> {
        let described = self.describe(source, digest, engine_keys).await?;
        let image = &source.image;
        let work = described
            .description
            .components
            .iter()
            .flat_map(|component| {
                let subject = pull::subject(image, &component.name);
                engine_keys.iter().map(move |engine_key| {
                    self.compiled(
                        component.digest.clone(),
                        engine_key.clone(),
                        subject.clone(),
                    )
                })
            });
        try_join_all(work).await?;
        Ok(Description::clone(&described.description))
    }

    /// The description from the cache; pulls where it, or a component that is to be compiled, is not
    /// there.
    async fn describe(
        &self,
        source: &Source,
        digest: &Digest,
        engine_keys: &[EngineKey],
    ) -> Result<Described, Refusal> {
        let key = Key::Description(work::place(source, digest)?);
        if let Some(described) = self.inner.known(&key, engine_keys).await {
            return Ok(described);
        }
        let flight = work::flight_name(source, digest);
        let (inner, source, digest) = (self.inner.clone(), source.clone(), digest.clone());
        let work = || async move { inner.pull(&source, &digest, &key).await };
        self.inner
            .images
            .run(flight, work)
            .await
            .unwrap_or_else(|| Err(work::broken("pulling the image")))
    }

    /// Compiles a component unless its code is there.
    async fn compiled(
        &self,
        digest: Digest,
        engine_key: EngineKey,
        subject: String,
    ) -> Result<(), Refusal> {
        let key = Key::Code(digest.clone(), engine_key.clone());
        if self.inner.cache.has(&key) {
            return Ok(());
        }
        let inner = self.inner.clone();
        let work = || async move { inner.compile(digest, engine_key).await };
        match self.inner.code.run(key, work).await {
            Some(Ok(())) => Ok(()),
            Some(Err(CodeFailure::Refused(refusal))) => Err(refusal),
            Some(Err(CodeFailure::Compile(failure))) => {
                Err(failure.refusal(&subject, self.inner.compiler.limits()))
            }
            None => Err(work::broken(&format!("compiling {subject}"))),
        }
    }
}
