//! `shoal push`: an app from files into a registry.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use shoal_artifact::local;
use shoal_artifact::write::{Artifact, Blob};

use crate::docker_config;

/// A registry that says nothing for so long is away.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// A registry that cannot be connected to for so long is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Push an app to a registry, as an artifact that an App's `spec.image` can name.
#[derive(clap::Args)]
pub struct Arguments {
    /// A component (`app.wasm`), a `spin.toml`, or a folder that holds one.
    path: PathBuf,
    /// Where to: REGISTRY/NAME:TAG.
    reference: String,
    /// Speak plain HTTP to the registry.
    #[arg(long)]
    insecure: bool,
}

/// Runs the command; prints the reference with the digest.
///
/// # Errors
/// The app cannot be read or is not served, or the registry cannot be reached or refuses.
pub fn run(arguments: &Arguments) -> Result<()> {
    let reference = reference(&arguments.reference)?;
    let artifact = local::read(&arguments.path)
        .map_err(|refusal| anyhow::anyhow!("{}: {}", arguments.path.display(), refusal.message))?;
    let auth = docker_config::for_registry(reference.registry())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    runtime.block_on(push(&artifact, &reference, arguments.insecure, &auth))?;
    println!(
        "{}/{}@{}",
        reference.registry(),
        reference.repository(),
        artifact.digest
    );
    Ok(())
}

/// A reference that can be written to: with a tag, without a digest.
fn reference(text: &str) -> Result<Reference> {
    let reference: Reference = text
        .parse()
        .with_context(|| format!("`{text}` is no image reference (REGISTRY/NAME:TAG)"))?;
    if reference.digest().is_some() {
        bail!("`{text}` holds a digest: what is pushed has a digest of its own; give a tag");
    }
    Ok(reference)
}

async fn push(
    artifact: &Artifact,
    reference: &Reference,
    insecure: bool,
    auth: &RegistryAuth,
) -> Result<()> {
    let protocol = if insecure {
        ClientProtocol::Http
    } else {
        ClientProtocol::Https
    };
    let client = Client::new(ClientConfig {
        protocol,
        read_timeout: Some(READ_TIMEOUT),
        connect_timeout: Some(CONNECT_TIMEOUT),
        user_agent: concat!("shoal/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    });
    let registry = reference.registry().to_owned();
    let explained = |error| explained(error, &registry, insecure);
    client
        .auth(reference, auth, oci_client::RegistryOperation::Push)
        .await
        .map_err(explained)?;
    for blob in artifact.layers.iter().chain([&artifact.config]) {
        push_blob(&client, reference, blob)
            .await
            .map_err(explained)?;
    }
    let media_type = shoal_artifact::oci::IMAGE_MANIFEST;
    let content_type = media_type
        .parse()
        .context("the manifest's media type is no header")?;
    client
        .push_manifest_raw(reference, artifact.manifest.clone(), content_type)
        .await
        .map_err(explained)?;
    Ok(())
}

/// A blob that the registry has is not sent again.
async fn push_blob(
    client: &Client,
    reference: &Reference,
    blob: &Blob,
) -> Result<(), OciDistributionError> {
    let digest = blob.digest.to_string();
    // A registry that does not answer this question may still take the blob.
    if client
        .blob_exists(reference, &digest)
        .await
        .unwrap_or(false)
    {
        return Ok(());
    }
    if std::io::stderr().is_terminal() {
        eprintln!("pushing {digest} ({} KiB)", blob.bytes.len().div_ceil(1024));
    }
    client
        .push_blob(reference, blob.bytes.clone(), &digest)
        .await
        .map(drop)
}

fn explained(error: OciDistributionError, registry: &str, insecure: bool) -> anyhow::Error {
    match &error {
        OciDistributionError::AuthenticationFailure(_)
        | OciDistributionError::UnauthorizedError { .. }
        | OciDistributionError::ServerError { code: 401 | 403, .. } => anyhow::Error::new(error).context(
            format!("{registry} refuses these credentials (it takes those of `docker login {registry}`)"),
        ),
        OciDistributionError::RequestError(request) if request.is_connect() && !insecure => {
            anyhow::Error::new(error).context(format!(
                "cannot connect to {registry} by HTTPS; for a registry that speaks plain HTTP give --insecure"
            ))
        }
        _ => anyhow::Error::new(error).context(format!("pushing to {registry}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_with_a_digest_is_refused() {
        let digest = "a".repeat(64);
        let error = reference(&format!("registry.example/app@sha256:{digest}")).unwrap_err();
        assert!(error.to_string().contains("digest"), "{error}");
    }

    #[test]
    fn a_broken_reference_is_named() {
        let error = reference("registry.example/UPPER:1").unwrap_err();
        assert!(
            error.to_string().contains("registry.example/UPPER:1"),
            "{error}"
        );
    }

    #[test]
    fn a_port_belongs_to_the_registry() {
        assert_eq!(
            reference("localhost:5000/app:1").unwrap().registry(),
            "localhost:5000"
        );
    }
}
