//! Installing Shoal with the manifests that a user applies.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::kubectl::Kubectl;
use crate::step::step;
use crate::{image, workspace};

/// The namespace of all parts.
const NAMESPACE: &str = "shoal-system";
/// A first start pulls nothing: it waits for volumes, certificates and the first stream.
const READY_WITHIN: Duration = Duration::from_secs(180);

/// What is waited for, in this order: a runtime needs the others.
const WORKLOADS: [&str; 4] = [
    "deployment/shoal-operator",
    "statefulset/shoal-builder",
    "statefulset/shoal-store",
    "daemonset/shoal-runtime-default",
];

/// Applies `crds.yaml` and `install.yaml` with `image`, and waits until all parts are ready.
///
/// # Errors
/// The API server refuses an object, or a part does not become ready; the message says which and why.
pub fn install(kubectl: &Kubectl, image: &str) -> Result<()> {
    step("Apply manifests/crds.yaml", |step| {
        let changed = kubectl.apply(&manifest("crds.yaml")?)?;
        step.say(said(&changed));
        let kinds = [
            "crd/apps.shoal.dev",
            "crd/stores.shoal.dev",
            "crd/storeclasses.shoal.dev",
            "crd/runtimepools.shoal.dev",
        ];
        let mut wait = vec!["wait", "--for=condition=Established", "--timeout=30s"];
        wait.extend(kinds);
        kubectl.text(&wait).map(drop)
    })?;
    step("Apply manifests/install.yaml", |step| {
        step.say(said(&apply(kubectl, image)?));
        Ok(())
    })?;
    step("Wait until Shoal is ready", |_| ready(kubectl, image))
}

/// Applies `install.yaml` with `image` and waits until all parts are ready, as part of a larger step.
///
/// # Errors
/// As [`install`].
pub fn install_quietly(kubectl: &Kubectl, image: &str) -> Result<()> {
    apply(kubectl, image)?;
    ready(kubectl, image)
}

/// `manifests/install.yaml`.
pub fn file() -> PathBuf {
    workspace::root().join("manifests/install.yaml")
}

fn apply(kubectl: &Kubectl, image: &str) -> Result<Vec<String>> {
    kubectl.apply(&with_image(&manifest("install.yaml")?, image)?)
}

fn said(changed: &[String]) -> String {
    match changed.len() {
        0 => "nothing to change".into(),
        1 => "1 object changed".into(),
        count => format!("{count} objects changed"),
    }
}

/// The text of a file in `manifests/`.
///
/// # Errors
/// It cannot be read.
pub fn manifest(name: &str) -> Result<String> {
    let path = workspace::root().join("manifests").join(name);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// `install.yaml` names an image of a release; here it is the one just built.
fn with_image(manifest: &str, image: &str) -> Result<String> {
    let released = format!("{}:{}", image::NAME, env!("CARGO_PKG_VERSION"));
    ensure!(
        manifest.contains(&released),
        "manifests/install.yaml does not name the image {released}"
    );
    Ok(manifest.replace(&released, image))
}

fn ready(kubectl: &Kubectl, image: &str) -> Result<()> {
    for workload in WORKLOADS {
        kubectl
            .until(&format!("{workload} is ready"), READY_WITHIN, |kubectl| {
                let found = kubectl.json(&["--namespace", NAMESPACE, workload])?;
                Ok(rolled_out(found.as_ref(), image))
            })
            .with_context(|| pods(kubectl))?;
    }
    Ok(())
}

/// Whether all pods of a workload run `image` and are ready; else what is missing.
fn rolled_out(object: Option<&Value>, image: &str) -> Result<(), String> {
    let Some(object) = object else {
        return Err("it does not exist".into());
    };
    let number = |path: &str| object.pointer(path).and_then(Value::as_i64);
    if number("/status/observedGeneration") != number("/metadata/generation") {
        return Err("its controller has not seen it yet".into());
    }
    if object
        .pointer("/spec/template/spec/containers/0/image")
        .and_then(Value::as_str)
        != Some(image)
    {
        return Err(format!("it does not run {image} yet"));
    }
    // A DaemonSet counts differently from a Deployment and a StatefulSet.
    let wanted = number("/status/desiredNumberScheduled")
        .or(number("/spec/replicas"))
        .unwrap_or(1);
    let ready = number("/status/numberReady")
        .or(number("/status/readyReplicas"))
        .unwrap_or(0);
    let updated = number("/status/updatedNumberScheduled")
        .or(number("/status/updatedReplicas"))
        .unwrap_or(0);
    // Pods of the old image may still be there, and ready, beside the new ones.
    let total = number("/status/replicas").unwrap_or(wanted);
    if wanted == 0 {
        return Err("no node is eligible for it".into());
    }
    if ready != wanted || updated != wanted || total != wanted {
        return Err(format!(
            "{ready} of {wanted} pods are ready, {updated} of them updated"
        ));
    }
    Ok(())
}

/// What a person would look at first when something is not ready.
fn pods(kubectl: &Kubectl) -> String {
    let get = |arguments: &[&str]| kubectl.text(arguments).unwrap_or_default();
    let pods = get(&["--namespace", NAMESPACE, "get", "pods", "--output", "wide"]);
    let events = get(&[
        "--namespace",
        NAMESPACE,
        "get",
        "events",
        "--field-selector",
        "type=Warning",
        "--sort-by",
        ".lastTimestamp",
    ]);
    let last: Vec<&str> = events.lines().rev().take(10).collect();
    let events: Vec<&str> = last.into_iter().rev().collect();
    format!(
        "Shoal did not become ready\n{pods}\n{}\n",
        events.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_image_of_the_release_is_replaced_everywhere() {
        let text = with_image(&manifest("install.yaml").unwrap(), "shoal.dev/shoal:abc").unwrap();
        assert!(!text.contains("shoal.dev/shoal:0"));
        assert!(text.matches("shoal.dev/shoal:abc").count() >= 4);
    }

    #[test]
    fn a_manifest_without_the_image_is_an_error() {
        assert!(with_image("image: other:1", "shoal.dev/shoal:abc").is_err());
    }

    #[test]
    fn a_workload_is_ready_when_all_pods_run_the_image_and_are_ready() {
        let object = |ready: i64, updated: i64, image: &str| {
            json!({
                "metadata": {"generation": 2},
                "spec": {"replicas": 2, "template": {"spec": {"containers": [{"image": image}]}}},
                "status": {
                    "observedGeneration": 2, "replicas": 2,
                    "readyReplicas": ready, "updatedReplicas": updated,
                },
            })
        };
        assert!(rolled_out(Some(&object(2, 2, "new")), "new").is_ok());
        assert!(rolled_out(Some(&object(1, 2, "new")), "new").is_err());
        assert!(rolled_out(Some(&object(2, 1, "new")), "new").is_err());
        assert!(rolled_out(Some(&object(2, 2, "old")), "new").is_err());
        assert!(rolled_out(None, "new").is_err());
    }

    #[test]
    fn a_daemon_set_is_ready_by_its_own_counts() {
        let object = json!({
            "metadata": {"generation": 1},
            "spec": {"template": {"spec": {"containers": [{"image": "new"}]}}},
            "status": {
                "observedGeneration": 1, "desiredNumberScheduled": 3,
                "numberReady": 3, "updatedNumberScheduled": 3,
            },
        });
        assert!(rolled_out(Some(&object), "new").is_ok());
    }
}
