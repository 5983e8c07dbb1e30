//! The local cluster, and Shoal's image on its nodes.

use std::process::Command;

use anyhow::Result;
use shoal_cluster::address::NodeNumber;
use shoal_cluster::layout::Layout;
use shoal_cluster::progress::Terminal;
use shoal_cluster::{Cluster, Options, requirements};

use crate::image::Image;
use crate::kubectl::Kubectl;
use crate::process;
use crate::step::step;

/// Starts the cluster, or takes the one that runs.
///
/// # Errors
/// This machine cannot run it, or something does not start.
pub fn up() -> Result<Cluster> {
    requirements::check()?;
    step("The local cluster of three nodes", |step| {
        if Cluster::attach().is_ok() {
            step.say("runs");
        }
        Ok(())
    })?;
    Cluster::up(&Options::from_environment()?, &Terminal::default())
}

/// kubectl as the cluster's administrator.
pub fn kubectl(cluster: &Cluster) -> Kubectl {
    let program = cluster.kubectl().get_program().into();
    Kubectl::of_kubeconfig(program, cluster.kubeconfig())
}

/// Loads `image` into every node that does not have it.
///
/// # Errors
/// A node does not take it.
pub fn load(cluster: &Cluster, image: &Image) -> Result<()> {
    step("Load the image into the nodes", |step| {
        if on_every_node(&image.reference)? {
            step.say("already there");
            return Ok(());
        }
        cluster.load_image(&image.archive)
    })
}

fn on_every_node(reference: &str) -> Result<bool> {
    let layout = Layout::from_environment()?;
    Ok(NodeNumber::all().all(|node| {
        let mut ctr = Command::new("ctr");
        ctr.arg("--address").arg(layout.containerd_socket(node));
        ctr.args(["--namespace", "k8s.io", "images", "list", "--quiet"]);
        let found = process::output(ctr.arg(format!("name=={reference}")), None);
        found.is_ok_and(|names| names.lines().any(|name| name == reference))
    }))
}
