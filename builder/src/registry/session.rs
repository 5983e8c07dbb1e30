//! One App's conversation with a registry about one image.

mod token;

use std::time::Duration;

use bytes::Bytes;
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE},
};
use sha2::{Digest as _, Sha256};
use shoal_artifact::{Digest, limits, oci};
use tokio::{io::AsyncWriteExt as _, sync::Mutex, time::timeout};

use super::{
    Clients, ImageReference, Login, PullSecrets, RegistryError,
    challenge::{self, Challenge},
    follow,
    pace::Pace,
};
use crate::Source;
use token::basic;

/// A manifest, or the answer to any question without a body.
const SHORT_DEADLINE: Duration = Duration::from_secs(30);

/// Speaks to the registry of one image. Ends with the request that it was made for, and with it
/// what it knows of credentials.
#[derive(Debug)]
pub struct Session {
    client: reqwest::Client,
    image: ImageReference,
    scheme: &'static str,
    logins: Vec<Login>,
    /// What the registry accepted last. Tokens are for this repository and for pulling only.
    authorization: Mutex<Option<HeaderValue>>,
}

impl Session {
    /// Makes a session for `image` with the rights of `source`.
    ///
    /// # Errors
    /// A pull secret or the extra authorities are not valid.
    pub fn new(
        clients: &Clients,
        image: ImageReference,
        source: &Source,
    ) -> Result<Self, shoal_artifact::Refusal> {
        let logins =
            PullSecrets::read(&source.pull_secrets)?.logins(image.registry(), image.repository());
        let insecure = source
            .insecure
            .iter()
            .any(|host| host.eq_ignore_ascii_case(image.registry()));
        let client = clients
            .get(&source.ca)
            .map_err(|error| error.refusal(&image, false))?;
        let scheme = if insecure { "http" } else { "https" };
        Ok(Self {
            client,
            image,
            scheme,
            logins,
            authorization: Mutex::default(),
        })
    }

    /// The image that this session is about.
    pub fn image(&self) -> &ImageReference {
        &self.image
    }

    /// Whether a pull secret names the registry.
    pub fn has_login(&self) -> bool {
        !self.logins.is_empty()
    }

    /// The digest of the image's manifest, with one request where the registry states it.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn resolve(&self) -> Result<Digest, RegistryError> {
        let reference = self.image.tag_or_digest();
        let found = self
            .deadline(self.get(Method::HEAD, "manifests", reference))
            .await?;
        let stated = found.headers().get("docker-content-digest");
        let stated = stated.and_then(|value| value.to_str().ok()?.parse::<Digest>().ok());
        let digest = match stated {
            Some(digest) => digest,
            None => Digest::of(&self.manifest(reference).await?),
        };
        match self.image.digest() {
            Some(wanted) if *wanted != digest => Err(RegistryError::Altered(wanted.clone())),
            _ => Ok(digest),
        }
    }

    /// A manifest by its digest: at most 4 MiB, verified.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn manifest_of(&self, digest: &Digest) -> Result<Bytes, RegistryError> {
        let bytes = self.manifest(digest.as_str()).await?;
        verified(bytes, digest)
    }

    async fn manifest(&self, reference: &str) -> Result<Bytes, RegistryError> {
        self.deadline(async {
            let response = self.get(Method::GET, "manifests", reference).await?;
            read_bounded(response, limits::MANIFEST_BYTES, "the manifest").await
        })
        .await
    }

    /// A small blob, in memory: at most `bound` bytes, verified.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn small_blob(&self, digest: &Digest, bound: u64) -> Result<Bytes, RegistryError> {
        let bytes = self.deadline(async {
            let response = self.get(Method::GET, "blobs", digest.as_str()).await?;
            read_bounded(response, bound, &format!("blob {digest}")).await
        });
        verified(bytes.await?, digest)
    }

    /// A blob, into a file: at most `bound` bytes, verified. It takes as long as it takes while it
    /// keeps coming; an image as a whole has the caller's deadline.
    ///
    /// # Errors
    /// See [`RegistryError`]; then the file holds part of it, or something else.
    pub async fn blob(
        &self,
        digest: &Digest,
        bound: u64,
        file: &mut tokio::fs::File,
    ) -> Result<(), RegistryError> {
        let mut response = self
            .deadline(self.get(Method::GET, "blobs", digest.as_str()))
            .await?;
        let (mut size, mut hash, mut pace) = (0, Sha256::new(), Pace::default());
        while let Some(chunk) = pace.keep(response.chunk()).await? {
            size += chunk.len() as u64;
            if size > bound {
                return Err(RegistryError::TooLarge {
                    what: format!("blob {digest}"),
                    bound,
                });
            }
            hash.update(&chunk);
            file.write_all(&chunk)
                .await
                .map_err(RegistryError::Storage)?;
        }
        file.flush().await.map_err(RegistryError::Storage)?;
        if Digest::from_sha256(&hash.finalize().into()) == *digest {
            Ok(())
        } else {
            Err(RegistryError::Altered(digest.clone()))
        }
    }

    async fn deadline<T>(
        &self,
        work: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        timeout(SHORT_DEADLINE, work)
            .await
            .unwrap_or_else(|_| Err(slow()))
    }

    /// Asks, and asks again with credentials where the registry wants some.
    async fn get(
        &self,
        method: Method,
        kind: &str,
        reference: &str,
    ) -> Result<Response, RegistryError> {
        let url = self.url(kind, reference)?;
        let known = self.authorization.lock().await.clone();
        let response = self.send(&method, &url, known).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !self.is_own(response.url()) {
            return self.accept(response, kind, reference);
        }
        let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenge = challenges
            .filter_map(|value| challenge::read(value.to_str().ok()?))
            .next();
        let challenge = challenge.ok_or(RegistryError::Unauthorized)?;
        let mut answers = self.logins.iter().map(Some).collect::<Vec<_>>();
        if answers.is_empty() {
            answers.push(None);
        }
        for login in answers {
            let Some(authorization) = self.authorize(&challenge, login).await? else {
                continue;
            };
            let response = self
                .send(&method, &url, Some(authorization.clone()))
                .await?;
            if !is_refusal(response.status()) || !self.is_own(response.url()) {
                *self.authorization.lock().await = Some(authorization);
                return self.accept(response, kind, reference);
            }
        }
        Err(RegistryError::Unauthorized)
    }

    fn url(&self, kind: &str, reference: &str) -> Result<Url, RegistryError> {
        let (registry, repository) = (self.image.registry(), self.image.repository());
        let text = format!(
            "{}://{registry}/v2/{repository}/{kind}/{reference}",
            self.scheme
        );
        text.parse()
            .map_err(|error| RegistryError::Unavailable(format!("`{text}` is no URL: {error}")))
    }

    /// Whether this is the registry itself, and no other address that it named.
    fn is_own(&self, url: &Url) -> bool {
        let own = self.url("manifests", "latest");
        own.is_ok_and(|own| own.origin() == url.origin())
    }

    async fn send(
        &self,
        method: &Method,
        url: &Url,
        authorization: Option<HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let accept = [
            oci::IMAGE_MANIFEST,
            oci::IMAGE_INDEX,
            oci::DOCKER_MANIFEST,
            oci::DOCKER_INDEX,
        ];
        let mut headers = HeaderMap::new();
        if url.path().contains("/manifests/") {
            let accepted = HeaderValue::try_from(accept.join(", "));
            headers.extend(accepted.ok().map(|value| (ACCEPT, value)));
        }
        headers.extend(authorization.map(|value| (AUTHORIZATION, value)));
        follow::ask(&self.client, method, url, headers).await
    }

    fn accept(
        &self,
        response: Response,
        kind: &str,
        reference: &str,
    ) -> Result<Response, RegistryError> {
        let status = response.status();
        let repository = self.image.repository();
        match status {
            _ if status.is_success() => Ok(response),
            _ if !self.is_own(response.url()) => Err(follow::elsewhere()),
            StatusCode::NOT_FOUND if kind == "manifests" => Err(RegistryError::NotFound(format!(
                "`{reference}` in repository `{repository}`"
            ))),
            StatusCode::NOT_FOUND => Err(RegistryError::NotFound(format!("blob `{reference}`"))),
            _ if is_refusal(status) => Err(RegistryError::Unauthorized),
            // What it says beside the status may be anything, from anywhere: it is not repeated.
            _ => Err(RegistryError::Unavailable(format!("it answered {status}"))),
        }
    }

    /// The header that answers a challenge; `None`: there is nothing to answer it with, or the
    /// login was refused.
    async fn authorize(
        &self,
        challenge: &Challenge,
        login: Option<&Login>,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let text = match (challenge, login) {
            (Challenge::Basic, None) => return Ok(None),
            (Challenge::Basic, Some(login)) => basic(login),
            (Challenge::Bearer { realm, service }, login) => {
                match self.token(realm, service.as_deref(), login).await? {
                    Some(token) => format!("Bearer {token}"),
                    None => return Ok(None),
                }
            }
        };
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| RegistryError::Unavailable("it gave a token that is none".into()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn is_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn slow() -> RegistryError {
    let seconds = SHORT_DEADLINE.as_secs();
    RegistryError::Unavailable(format!("it was not done within {seconds} s"))
}

fn verified(bytes: Bytes, digest: &Digest) -> Result<Bytes, RegistryError> {
    if Digest::of(&bytes) == *digest {
        Ok(bytes)
    } else {
        Err(RegistryError::Altered(digest.clone()))
    }
}

async fn read_bounded(
    mut response: Response,
    bound: u64,
    what: &str,
) -> Result<Bytes, RegistryError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() as u64 + chunk.len() as u64 > bound {
            return Err(RegistryError::TooLarge {
                what: what.to_owned(),
                bound,
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}
