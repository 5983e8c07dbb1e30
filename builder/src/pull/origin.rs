//! Where the bytes of an image come from: a registry, or files of this machine.

use std::path::Path;

use bytes::Bytes;
use shoal_artifact::{Digest, Reason, Refusal, limits, local, oci::Descriptor, write::Artifact};

use super::{no_room, storage};
use crate::{
    Source,
    cache::Temporary,
    registry::{Clients, ImageReference, RegistryError, Session},
};

/// An image that can be read.
#[derive(Debug)]
pub(crate) enum Origin {
    Registry(Box<Session>),
    Local(Box<Artifact>),
}

/// What stands before the path of a local file.
const LOCAL: &str = "file:";

impl Origin {
    /// Opens the image of `source`. Nothing is asked of a registry yet; local files are read.
    pub(crate) async fn open(
        clients: &Clients,
        source: &Source,
        local_files: bool,
    ) -> Result<Self, Refusal> {
        let Some(path) = source.image.strip_prefix(LOCAL) else {
            let image = ImageReference::parse(&source.image)?;
            let session = Session::new(clients, image, source)?;
            return Ok(Self::Registry(Box::new(session)));
        };
        if !local_files {
            let message = format!(
                "`{}` is a local file, which only a local Shoal reads",
                source.image
            );
            return Err(Refusal::new(Reason::InvalidImageReference, message));
        }
        let path = path.to_owned();
        let read = tokio::task::spawn_blocking(move || local::read(Path::new(&path))).await;
        let artifact = read.unwrap_or_else(|_| {
            Err(Refusal::new(
                Reason::UnsupportedArtifact,
                "the file could not be read",
            ))
        });
        artifact.map(|artifact| Self::Local(Box::new(artifact)))
    }

    /// The digest of the image's manifest.
    pub(crate) async fn resolve(&self) -> Result<Digest, Refusal> {
        match self {
            Self::Registry(session) => session
                .resolve()
                .await
                .map_err(|error| refuse(session, error)),
            Self::Local(artifact) => Ok(artifact.digest.clone()),
        }
    }

    pub(super) async fn manifest(&self, digest: &Digest) -> Result<Bytes, Refusal> {
        match self {
            Self::Registry(session) => session
                .manifest_of(digest)
                .await
                .map_err(|error| refuse(session, error)),
            Self::Local(artifact) if artifact.digest == *digest => {
                Ok(artifact.manifest.clone().into())
            }
            Self::Local(_) => Err(changed()),
        }
    }

    pub(super) async fn small_blob(&self, blob: &Descriptor, bound: u64) -> Result<Bytes, Refusal> {
        match self {
            Self::Registry(session) => {
                let bound = bound.min(blob.size);
                let bytes = session.small_blob(&blob.digest, bound).await;
                bytes.map_err(|error| refuse(session, error))
            }
            Self::Local(artifact) => local_blob(artifact, &blob.digest).map(Bytes::copy_from_slice),
        }
    }

    /// Writes a blob of at most `bound` bytes into a file.
    pub(super) async fn blob(
        &self,
        digest: &Digest,
        bound: u64,
        file: &mut Temporary,
    ) -> Result<(), Refusal> {
        match self {
            Self::Registry(session) => {
                file.reserve(bound).map_err(|error| no_room(&error))?;
                let mut file =
                    tokio::fs::File::from_std(file.reopen().map_err(|error| storage(&error))?);
                session
                    .blob(digest, bound, &mut file)
                    .await
                    .map_err(|error| refuse(session, error))
            }
            Self::Local(artifact) => {
                let bytes = local_blob(artifact, digest)?;
                file.append(bytes).map_err(|error| no_room(&error))
            }
        }
    }

    /// A layer of a container image, whole.
    pub(super) async fn layer(
        &self,
        layer: &Descriptor,
        file: &mut Temporary,
    ) -> Result<(), Refusal> {
        if layer.size > limits::LAYER_BYTES {
            let bound = limits::LAYER_BYTES >> 20;
            let message = format!(
                "layer {} of the image is larger than {bound} MiB",
                layer.digest
            );
            return Err(Refusal::new(Reason::UnsupportedArtifact, message));
        }
        self.blob(&layer.digest, layer.size, file).await
    }
}

fn refuse(session: &Session, error: RegistryError) -> Refusal {
    error.refusal(session.image(), session.has_login())
}

fn local_blob<'a>(artifact: &'a Artifact, digest: &Digest) -> Result<&'a [u8], Refusal> {
    artifact.blob(digest).ok_or_else(changed)
}

fn changed() -> Refusal {
    let message = "the file changed while it was read";
    Refusal::new(Reason::UnsupportedArtifact, message)
        .retry_after(std::time::Duration::from_secs(1))
}
