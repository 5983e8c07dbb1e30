//! The example app that `cargo xtask up` shows.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::kubectl::Kubectl;
use crate::step::step;
use crate::{process, workspace};

/// Name of the App, of its folder in `examples/`, and of its image.
pub const NAME: &str = "guestbook";
/// Its namespace.
pub const NAMESPACE: &str = "default";
/// Its image in `app.yaml`, where a user puts their own.
const PLACEHOLDER: &str = "registry.example/guestbook:1";
/// A first build compiles the component.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// Its folder.
pub fn folder() -> PathBuf {
    workspace::root().join("examples").join(NAME)
}

/// `guestbook:<hash of its component>`: what is pushed already is known by its name.
///
/// # Errors
/// It has not been built.
pub fn image() -> Result<String> {
    let path = folder().join(format!("{NAME}.wasm"));
    let bytes = std::fs::read(&path).with_context(|| {
        format!(
            "cannot read {}: `cargo xtask guests` builds it",
            path.display()
        )
    })?;
    let hash = hex::encode(Sha256::digest(&bytes));
    Ok(format!(
        "{NAME}:{}",
        hash.chars().take(12).collect::<String>()
    ))
}

/// Pushes it to `registry` (`host:port`, plain HTTP) with the program `shoal`.
///
/// # Errors
/// The registry cannot be reached, or refuses.
pub fn push(shoal: &PathBuf, registry: &str) -> Result<()> {
    let image = image()?;
    step(&format!("Push the example to {registry}/{image}"), |step| {
        if pushed(registry, &image) {
            step.say("already there");
            return Ok(());
        }
        let mut command = Command::new(shoal);
        command
            .arg("push")
            .arg(folder())
            .arg(format!("{registry}/{image}"))
            .arg("--insecure");
        process::output(&mut command, None).map(drop)
    })
}

fn pushed(registry: &str, image: &str) -> bool {
    let Some((name, tag)) = image.split_once(':') else {
        return false;
    };
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--fail",
        "--head",
        "--max-time",
        "5",
        "--output",
        "/dev/null",
    ]);
    curl.args([
        "--header",
        "Accept: application/vnd.oci.image.manifest.v1+json",
    ]);
    process::succeeds(curl.arg(format!("http://{registry}/v2/{name}/manifests/{tag}")))
}

/// Lets the builder speak to `registry` in plain HTTP: the RuntimePool that a platform team would write.
///
/// # Errors
/// The API server refuses it.
pub fn allow_registry(kubectl: &Kubectl, registry: &str) -> Result<()> {
    step("Apply RuntimePool default", |step| {
        step.say(format!("registry {registry} in plain HTTP"));
        kubectl.apply(&pool(registry)).map(drop)
    })
}

fn pool(registry: &str) -> String {
    format!(
        "apiVersion: shoal.dev/v1alpha1\nkind: RuntimePool\nmetadata: {{name: default}}\n\
         spec:\n  registries:\n    insecure: [\"{registry}\"]\n"
    )
}

/// Applies its App with the image in `registry` and waits until it is Ready. Its manifest.
///
/// # Errors
/// It does not become Ready; the message holds its conditions.
pub fn deploy(kubectl: &Kubectl, registry: &str) -> Result<String> {
    step(
        &format!("Apply App {NAME} and wait until it is Ready"),
        |step| {
            let manifest = deploy_quietly(kubectl, registry)?;
            step.say(kubectl.text(&[
                "--namespace",
                NAMESPACE,
                "get",
                "apps.shoal.dev",
                NAME,
                "--output",
                "jsonpath={.status.ready} on {.status.summary.nodes}",
            ])?);
            Ok(manifest)
        },
    )
}

/// As [`deploy`], as part of a larger step.
///
/// # Errors
/// As [`deploy`].
pub fn deploy_quietly(kubectl: &Kubectl, registry: &str) -> Result<String> {
    let path = folder().join("app.yaml");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        text.contains(PLACEHOLDER),
        "{} does not name {PLACEHOLDER}",
        path.display()
    );
    let manifest = text.replace(PLACEHOLDER, &format!("{registry}/{}", image()?));
    kubectl.apply(&manifest)?;
    kubectl.until(&format!("App {NAME} is Ready"), READY_WITHIN, |kubectl| {
        let app = kubectl.json(&["--namespace", NAMESPACE, "apps.shoal.dev", NAME])?;
        Ok(ready(app.as_ref()))
    })?;
    Ok(manifest)
}

/// Where it answers, by its Service's name.
pub fn url() -> String {
    format!("http://{NAME}.{NAMESPACE}/")
}

/// Whether the App is Ready in its present generation; else its conditions.
fn ready(app: Option<&Value>) -> Result<(), String> {
    let Some(app) = app else {
        return Err("it does not exist".into());
    };
    let generation = |path: &str| app.pointer(path).and_then(Value::as_i64);
    if generation("/status/observedGeneration") != generation("/metadata/generation") {
        return Err("the operator has not looked at it yet".into());
    }
    let empty = Vec::new();
    let conditions = app
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .unwrap_or(&empty);
    let field = |condition: &Value, name: &str| {
        condition
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let ready = conditions
        .iter()
        .any(|c| field(c, "type") == "Ready" && field(c, "status") == "True");
    if ready {
        return Ok(());
    }
    let mut text = String::new();
    for condition in conditions {
        let words = ["type", "status", "reason", "message"].map(|name| field(condition, name));
        text.push_str(&format!("\n  {}", words.join(" ")));
    }
    Err(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn app(observed: i64, ready: &str) -> Value {
        json!({
            "metadata": {"generation": 2},
            "status": {
                "observedGeneration": observed,
                "conditions": [
                    {"type": "Built", "status": "True", "reason": "BuildSucceeded", "message": ""},
                    {"type": "Ready", "status": ready, "reason": "NoEndpoints", "message": "none yet"},
                ],
            },
        })
    }

    #[test]
    fn only_a_ready_condition_of_this_generation_counts() {
        assert!(ready(Some(&app(2, "True"))).is_ok());
        assert!(ready(Some(&app(1, "True"))).is_err());
        assert!(ready(None).is_err());
        let why = ready(Some(&app(2, "False"))).unwrap_err();
        assert!(why.contains("Ready False NoEndpoints none yet"), "{why}");
    }

    #[test]
    fn the_pool_names_the_registry() {
        assert!(pool("10.0.0.1:5000").contains("insecure: [\"10.0.0.1:5000\"]"));
    }
}
