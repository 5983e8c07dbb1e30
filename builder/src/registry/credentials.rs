//! Pull secrets: who an App is to a registry.

use std::{collections::BTreeMap, fmt};

use base64::Engine as _;
use serde::Deserialize;
use shoal_artifact::{Reason, Refusal};

/// A user name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// User name.
    pub user: String,
    /// Password or access token.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

/// The logins of all pull secrets of an App.
#[derive(Clone, Debug, Default)]
pub struct PullSecrets {
    entries: Vec<(Pattern, Login)>,
}

/// Largest `.dockerconfigjson`: a Secret holds at most 1 MiB.
const MAX_BYTES: usize = 1 << 20;
/// Logins that are tried for one image.
const MAX_TRIED: usize = 8;

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    auth: String,
    #[serde(default)]
    identitytoken: String,
}

/// Key of an entry: a host, perhaps with `*` for a label or part of one, and perhaps a path.
#[derive(Clone, Debug)]
struct Pattern {
    host: String,
    path: String,
}

impl PullSecrets {
    /// Reads the contents of `.dockerconfigjson`s. Where two name the same registry, both count.
    ///
    /// # Errors
    /// One is not valid. What it holds is not repeated in the message.
    pub fn read(secrets: &[Vec<u8>]) -> Result<Self, Refusal> {
        let mut entries = Vec::new();
        for (number, secret) in secrets.iter().enumerate() {
            read_one(secret, &mut entries).map_err(|problem| {
                let message = format!("pull secret {} of the App {problem}", number + 1);
                Refusal::new(Reason::PullSecretInvalid, message)
                    .retry_after(std::time::Duration::from_secs(30))
            })?;
        }
        // The longest path first: it is the most specific.
        entries.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.path.len()));
        Ok(Self { entries })
    }

    /// The logins for a repository, the most specific first.
    pub fn logins(&self, registry: &str, repository: &str) -> Vec<Login> {
        let matching = self
            .entries
            .iter()
            .filter(|(pattern, _)| pattern.matches(registry, repository));
        matching
            .map(|(_, login)| login.clone())
            .take(MAX_TRIED)
            .collect()
    }
}

fn read_one(secret: &[u8], entries: &mut Vec<(Pattern, Login)>) -> Result<(), String> {
    if secret.len() > MAX_BYTES {
        return Err("is larger than 1 MiB".into());
    }
    // The error of the parser quotes what it found, which may be a password.
    let config: DockerConfig = serde_json::from_slice(secret)
        .map_err(|_| "is not what a Secret of type kubernetes.io/dockerconfigjson holds")?;
    for (key, entry) in config.auths {
        let login = read_entry(&entry).map_err(|problem| format!("{problem} for `{key}`"))?;
        if let Some(login) = login {
            entries.push((Pattern::new(&key), login));
        }
    }
    Ok(())
}

fn read_entry(entry: &Entry) -> Result<Option<Login>, &'static str> {
    if !entry.identitytoken.is_empty() {
        return Err("has an identity token, which is not supported (use a user name and password)");
    }
    if !entry.username.is_empty() || !entry.password.is_empty() {
        let (user, password) = (entry.username.clone(), entry.password.clone());
        return Ok(Some(Login { user, password }));
    }
    if entry.auth.is_empty() {
        return Ok(None);
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(entry.auth.trim());
    let text = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or("has an `auth` that is no base64 of text")?;
    let (user, password) = text.split_once(':').ok_or("has an `auth` without `:`")?;
    let password = password.trim_end_matches(['\n', '\0']);
    Ok(Some(Login {
        user: user.into(),
        password: password.into(),
    }))
}

/// Names under which Docker Hub goes.
const DOCKER_HUB: &[&str] = &["docker.io", "index.docker.io", "registry-1.docker.io"];

impl Pattern {
    fn new(key: &str) -> Self {
        let bare = key.split_once("://").map_or(key, |(_, rest)| rest);
        let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
        // What `docker login` writes: the address of an API, not part of a repository.
        let path = if matches!(path.trim_end_matches('/'), "v1" | "v2") {
            ""
        } else {
            path
        };
        Self {
            host: host.to_ascii_lowercase(),
            path: path.trim_matches('/').to_owned(),
        }
    }

    fn matches(&self, registry: &str, repository: &str) -> bool {
        let registry = registry.to_ascii_lowercase();
        let same_hub =
            DOCKER_HUB.contains(&self.host.as_str()) && DOCKER_HUB.contains(&registry.as_str());
        let path_matches = self.path.is_empty()
            || repository
                .strip_prefix(self.path.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        path_matches && (same_hub || host_matches(&self.host, &registry))
    }
}

/// Compares label by label, as kubelet does: `*.example.com` is one label, not several.
fn host_matches(pattern: &str, host: &str) -> bool {
    let (pattern, pattern_port) = pattern.split_once(':').unwrap_or((pattern, ""));
    let (host, host_port) = host.split_once(':').unwrap_or((host, ""));
    let (labels, patterns) = (host.split('.'), pattern.split('.'));
    pattern_port == host_port
        && labels.clone().count() == patterns.clone().count()
        && labels
            .zip(patterns)
            .all(|(label, pattern)| label_matches(pattern, label))
}

fn label_matches(pattern: &str, label: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == label,
        Some((before, after)) => label.strip_prefix(before).is_some_and(|rest| {
            // Bounded by the length of a label: each `*` tries every suffix.
            (0..=rest.len()).any(|at| {
                rest.get(at..)
                    .is_some_and(|rest| label_matches(after, rest))
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn secrets(auths: serde_json::Value) -> Result<PullSecrets, Refusal> {
        PullSecrets::read(&[json!({"auths": auths}).to_string().into_bytes()])
    }

    fn users(auths: serde_json::Value, registry: &str, repository: &str) -> Vec<String> {
        let logins = secrets(auths).unwrap().logins(registry, repository);
        logins.into_iter().map(|login| login.user).collect()
    }

    #[test]
    fn the_entries_that_name_a_registry_are_found_the_most_specific_first() {
        let login = |user: &str| json!({"username": user, "password": "p"});
        let auths = json!({
            "r.example": login("host"),
            "https://r.example/acme": login("path"),
            "*.example": login("glob"),
            "r.example:5000": login("port"),
            "other.example": login("other"),
            "r.example/acm": login("prefix"),
        });
        let mut found = users(auths, "r.example", "acme/hello");
        assert_eq!(found.remove(0), "path");
        found.sort();
        assert_eq!(found, ["glob", "host"]);
        for key in [
            "https://index.docker.io/v1/",
            "docker.io",
            "registry-1.docker.io",
        ] {
            assert_eq!(
                users(json!({key: login("hub")}), "index.docker.io", "library/a"),
                ["hub"]
            );
        }
    }

    #[test]
    fn user_and_password_are_read_from_auth() {
        let auth = base64::engine::general_purpose::STANDARD.encode("ann:a:b\n");
        let login = secrets(json!({"r.example": {"auth": auth}}))
            .unwrap()
            .logins("r.example", "a");
        assert_eq!(
            (login[0].user.as_str(), login[0].password.as_str()),
            ("ann", "a:b")
        );
        assert_eq!(format!("{login:?}"), "[Login { .. }]");
    }

    #[test]
    fn a_secret_that_is_none_is_refused_without_repeating_it() {
        for secret in [
            &b"s3cr3t"[..],
            br#"{"auths": {"r.example": {"auth": "s3cr3t"}}}"#,
            br#"{"auths": {"r.example": {"auth": 7, "password": "s3cr3t"}}}"#,
            br#"{"auths": {"r.example": {"identitytoken": "s3cr3t"}}}"#,
        ] {
            let refusal = PullSecrets::read(&[secret.to_vec()]).unwrap_err();
            assert_eq!(refusal.reason, Reason::PullSecretInvalid);
            assert!(
                refusal.message.contains("pull secret 1") && !refusal.message.contains("s3cr3t")
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_and_keys_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100), key in "\\PC{0,40}") {
            let _ = PullSecrets::read(&[bytes]);
            let _ = users(json!({key: {"username": "u"}}), "r.example:5000", "a/b");
        }
    }
}
