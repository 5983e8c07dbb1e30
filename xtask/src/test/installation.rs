//! What is left when the installation is deleted, and found again when it is back.

use std::time::Duration;

use anyhow::{Result, ensure};
use shoal_cluster::Cluster;

use super::Outcome;
use crate::kubectl::Kubectl;
use crate::{answer, example, install, local};

/// Pods get 30 s to end.
const GONE_WITHIN: Duration = Duration::from_secs(120);
const NAMESPACE: &str = "shoal-system";

/// Deletes `install.yaml`: CRDs, Apps, Stores and volumes stay, every part goes. Applied again, the App
/// that was there answers, from the same Store.
///
/// # Errors
/// What is not so.
pub fn removed_and_back(cluster: &Cluster, image: &str) -> Result<Outcome> {
    let kubectl = local::kubectl(cluster);
    let registry = cluster.registry();
    example::deploy_quietly(&kubectl, &registry)?;
    let before = kept(&kubectl)?;
    ensure!(
        before.contains("state-shoal-store-0"),
        "the store has no volume: {before}"
    );

    kubectl.text(&[
        "delete",
        "--timeout=120s",
        &format!("--filename={}", install::file().display()),
    ])?;
    kubectl.until("every pod of Shoal is gone", GONE_WITHIN, |kubectl| {
        let pods = kubectl.text(&[
            "--namespace",
            NAMESPACE,
            "get",
            "pods,daemonsets",
            "--output",
            "name",
        ])?;
        Ok(if pods.trim().is_empty() {
            Ok(())
        } else {
            Err(pods)
        })
    })?;
    let after = kept(&kubectl)?;
    ensure!(before == after, "before:\n{before}\nafter:\n{after}");

    install::install_quietly(&kubectl, image)?;
    example::deploy_quietly(&kubectl, &registry)?;
    answer::on_node(cluster, 2, &example::url())?;
    let again = kept(&kubectl)?;
    ensure!(
        before == again,
        "before:\n{before}\nafter it was installed again:\n{again}"
    );
    Ok(Outcome::PASSED)
}

/// What must outlive the installation, by UID; Stores by their ids too.
fn kept(kubectl: &Kubectl) -> Result<String> {
    let uids = "jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.uid} {.spec.id}{\"\\n\"}{end}";
    let mut text = kubectl.text(&[
        "get",
        "crd,namespace",
        "--selector=app.kubernetes.io/part-of=shoal",
        "--output",
        uids,
    ])?;
    text += &kubectl.text(&[
        "get",
        "apps.shoal.dev,stores.shoal.dev",
        "--namespace",
        example::NAMESPACE,
        "--output",
        uids,
    ])?;
    text += &kubectl.text(&[
        "get",
        "persistentvolumeclaims",
        "--namespace",
        NAMESPACE,
        "--output",
        uids,
    ])?;
    Ok(text)
}
