//! Credentials that `docker login` and its kin left in `~/.docker/config.json`.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_client::secrets::RegistryAuth;
use serde::Deserialize;

/// Docker's name for the registry that references without a host mean.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// The file's part that matters here.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfig {
    auths: HashMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: HashMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    #[serde(rename = "identitytoken")]
    identity_token: Option<String>,
}

/// Credentials for `registry` (`host[:port]`); anonymous if there are none.
///
/// # Errors
/// The file cannot be read, or keeps this registry's credentials where they cannot be read from.
pub fn for_registry(registry: &str) -> Result<RegistryAuth> {
    let Some(bytes) = read()? else {
        return Ok(RegistryAuth::Anonymous);
    };
    parse(&bytes, registry).context("in Docker's config.json")
}

/// The same as the content of a pull secret; none if there are none.
///
/// # Errors
/// As [`for_registry`].
pub fn pull_secret(registry: &str) -> Result<Option<Vec<u8>>> {
    let RegistryAuth::Basic(username, password) = for_registry(registry)? else {
        return Ok(None);
    };
    let secret =
        serde_json::json!({"auths": {registry: {"username": username, "password": password}}});
    Ok(Some(secret.to_string().into_bytes()))
}

fn read() -> Result<Option<Vec<u8>>> {
    let Some(path) = path() else { return Ok(None) };
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn path() -> Option<PathBuf> {
    let folder = std::env::var_os("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker")));
    folder.map(|folder| folder.join("config.json"))
}

fn parse(bytes: &[u8], registry: &str) -> Result<RegistryAuth> {
    let config: DockerConfig =
        serde_json::from_slice(bytes).context("not a Docker configuration")?;
    let names = names(registry);
    let Some(entry) = names.iter().find_map(|name| config.auths.get(name)) else {
        return helper(&config, registry, &names);
    };
    if entry
        .identity_token
        .as_ref()
        .is_some_and(|token| !token.is_empty())
    {
        bail!("the credentials for {registry} are an identity token, which cannot be used here");
    }
    if let (Some(user), Some(password)) = (&entry.username, &entry.password) {
        return Ok(RegistryAuth::Basic(user.clone(), password.clone()));
    }
    // Docker leaves an empty entry for what its helper keeps.
    let Some(auth) = entry.auth.as_ref().filter(|auth| !auth.is_empty()) else {
        return helper(&config, registry, &names);
    };
    let broken = || format!("the credentials for {registry} are not base64 of user:password");
    let bytes = STANDARD.decode(auth.trim()).with_context(broken)?;
    let pair = String::from_utf8(bytes).with_context(broken)?;
    let (user, password) = pair.split_once(':').with_context(broken)?;
    Ok(RegistryAuth::Basic(user.to_owned(), password.to_owned()))
}

/// Running other programs for their secrets is not this command's business.
fn helper(config: &DockerConfig, registry: &str, names: &[String]) -> Result<RegistryAuth> {
    let named = names.iter().find_map(|name| config.cred_helpers.get(name));
    let kept = config.auths.keys().any(|name| names.contains(name));
    match named.or(config.creds_store.as_ref().filter(|_| kept)) {
        Some(helper) => bail!(
            "the credentials for {registry} are kept by docker-credential-{helper}, which is not used here; \
             put them into `auths`, or into another file named by DOCKER_CONFIG"
        ),
        None => Ok(RegistryAuth::Anonymous),
    }
}

/// Under which names a registry's entry may stand.
fn names(registry: &str) -> Vec<String> {
    let mut names = vec![
        registry.to_owned(),
        format!("https://{registry}"),
        format!("http://{registry}"),
        format!("https://{registry}/v1/"),
        format!("https://{registry}/v2/"),
    ];
    if ["docker.io", "index.docker.io"].contains(&registry) {
        names.push(DOCKER_HUB.to_owned());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_found_by_the_registry_with_its_port() {
        let text = r#"{"auths": {"localhost:5000": {"auth": "dXNlcjpwYTpzcw=="}}}"#;
        let auth = parse(text.as_bytes(), "localhost:5000").unwrap();
        assert_eq!(auth, RegistryAuth::Basic("user".into(), "pa:ss".into()));
        assert_eq!(
            parse(text.as_bytes(), "localhost").unwrap(),
            RegistryAuth::Anonymous
        );
    }

    #[test]
    fn docker_hub_has_a_name_of_its_own() {
        let text =
            r#"{"auths": {"https://index.docker.io/v1/": {"username": "u", "password": "p"}}}"#;
        let auth = parse(text.as_bytes(), "docker.io").unwrap();
        assert_eq!(auth, RegistryAuth::Basic("u".into(), "p".into()));
    }

    #[test]
    fn what_a_helper_keeps_is_said() {
        let text = r#"{"auths": {"r.example": {}}, "credsStore": "desktop"}"#;
        let error = parse(text.as_bytes(), "r.example").unwrap_err();
        assert!(
            error.to_string().contains("docker-credential-desktop"),
            "{error}"
        );
        assert_eq!(
            parse(text.as_bytes(), "other.example").unwrap(),
            RegistryAuth::Anonymous
        );
    }

    #[test]
    fn broken_credentials_are_named_and_not_shown() {
        let text = r#"{"auths": {"r.example": {"auth": "c2VjcmV0"}}}"#;
        let error = format!("{:#}", parse(text.as_bytes(), "r.example").unwrap_err());
        assert!(
            error.contains("r.example") && !error.contains("secret"),
            "{error}"
        );
    }
}
