//! Kubeconfig files: how a client finds the API server and what it shows there.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use crate::address::api_url;
use crate::layout::write;
use crate::pki::{Pair, Pki};

/// Writes a kubeconfig with the certificates in it, so that the file can be copied alone.
///
/// JSON is YAML, and kubectl reads and edits it as such.
///
/// # Errors
/// A certificate cannot be read, or the file cannot be written.
pub fn create(path: &Path, pki: &Pki, user: &str) -> Result<()> {
    let Pair { certificate, key } = pki.pair(user);
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "shoal",
        "contexts": [{"name": "shoal", "context": {"cluster": "shoal", "user": user}}],
        "clusters": [{
            "name": "shoal",
            "cluster": {
                "server": api_url(),
                "certificate-authority-data": embedded(&pki.pair("ca").certificate)?,
            },
        }],
        "users": [{
            "name": user,
            "user": {
                "client-certificate-data": embedded(&certificate)?,
                "client-key-data": embedded(&key)?,
            },
        }],
    });
    write(path, serde_json::to_vec_pretty(&config)?)?;
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("cannot restrict {}", path.display()))
}

fn embedded(path: &Path) -> Result<String> {
    use base64::Engine;
    let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(base64::engine::general_purpose::STANDARD.encode(pem))
}
