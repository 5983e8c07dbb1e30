//! Starting a cluster on a clean machine, in the order that is fastest: what takes long begins
//! first, and nothing waits for what it does not need.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::address::NodeNumber;
use crate::binaries::Binaries;
use crate::layout::{Layout, make_folder, write};
use crate::oci_archive::OciImage;
use crate::pki::Pki;
use crate::process::Daemon;
use crate::progress::{Progress, step};
use crate::state::{Record, State, boot};
use crate::{
    api, apiserver, bootstrap, cgroup, command, containerd, controllers, dns, etcd, health,
    kube_proxy, kubeconfig, kubelet, network, registry,
};

/// How long a part may take to be ready: ten times what it takes on two cores.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts everything and waits until it is ready.
///
/// # Errors
/// The first thing that fails; the error names the component and its log. What runs goes on
/// running, to be looked at; the next start removes it.
pub(crate) fn start(
    layout: &Layout,
    binaries: &Binaries,
    recipe: &str,
    progress: &dyn Progress,
) -> Result<()> {
    let pki = Pki::at(&layout.pki());
    step(
        progress,
        "Preparing networks, cgroups and certificates",
        || prepare(layout, binaries, recipe, &pki),
    )?;
    step(progress, "Starting the control plane", || {
        control_plane(layout, binaries, &pki)
    })?;
    step(progress, "Starting three nodes", || {
        nodes(layout, binaries, &pki)
    })?;
    State::update(layout, |state| {
        state.complete = true;
        Ok(())
    })
}

fn prepare(layout: &Layout, binaries: &Binaries, recipe: &str, pki: &Pki) -> Result<()> {
    layout.create()?;
    State::update(layout, |state| {
        *state = State {
            recipe: recipe.to_owned(),
            boot: boot(),
            complete: false,
            binaries: binaries.folder().to_owned(),
            daemons: Vec::new(),
        };
        Ok(())
    })?;
    pki.create()?;
    kubeconfig::create(&layout.kubeconfig(), pki, "admin")?;
    write(
        &layout.config("nsswitch.conf"),
        "passwd: files\ngroup: files\nhosts: files dns\n",
    )?;
    link_kubectl(layout, binaries)?;
    cgroup::create()?;
    network::create()
}

/// A folder for PATH with nothing but kubectl in it.
fn link_kubectl(layout: &Layout, binaries: &Binaries) -> Result<()> {
    let folder = layout.config("bin");
    make_folder(&folder)?;
    std::os::unix::fs::symlink(binaries.kubernetes("kubectl"), folder.join("kubectl"))
        .context("cannot link kubectl")
}

/// etcd and the API server; beside them, while the API server takes its seconds, what does not
/// need it.
fn control_plane(layout: &Layout, binaries: &Binaries, pki: &Pki) -> Result<()> {
    launch(layout, etcd::daemon(layout, binaries))?;
    launch(layout, apiserver::daemon(layout, binaries, pki)?)?;
    for node in NodeNumber::all() {
        launch(layout, containerd::daemon(layout, node)?)?;
    }
    for daemon in registry::daemons(layout)? {
        launch(layout, daemon)?;
    }
    load_pause(layout, binaries)?;
    for name in [etcd::NAME, apiserver::NAME] {
        health::wait_for(
            layout,
            &format!("{name} being ready"),
            PATIENCE,
            name,
            || health::daemon(pki, name),
        )?;
    }
    Ok(())
}

fn load_pause(layout: &Layout, binaries: &Binaries) -> Result<()> {
    let archive = layout.config("pause.tar");
    OciImage::new(containerd::PAUSE_IMAGE)
        .file("/pause", binaries.pause())
        .entrypoint(&["/pause"])
        .write(&archive)?;
    for node in NodeNumber::all() {
        let name = format!("containerd-{}", node.name());
        health::wait_for(
            layout,
            &format!("{name} being ready"),
            PATIENCE,
            &name,
            || {
                if containerd::is_ready(layout, node) {
                    Ok(())
                } else {
                    Err("no answer".to_owned())
                }
            },
        )?;
        containerd::import(layout, node, &archive)?;
    }
    Ok(())
}

fn nodes(layout: &Layout, binaries: &Binaries, pki: &Pki) -> Result<()> {
    launch(
        layout,
        controllers::controller_manager(layout, binaries, pki)?,
    )?;
    for node in NodeNumber::all() {
        launch(layout, kubelet::daemon(layout, binaries, pki, node)?)?;
    }
    launch(layout, controllers::scheduler(layout, binaries, pki)?)?;
    for node in NodeNumber::all() {
        launch(layout, kube_proxy::daemon(layout, binaries, pki, node)?)?;
    }
    // Before CoreDNS: a client that is refused its first watch pauses before the next.
    apply(layout, binaries)?;
    launch(layout, dns::daemon(layout, binaries, pki)?)?;
    health::wait_for(
        layout,
        "three Ready nodes",
        PATIENCE,
        "kubelet-node1",
        || health::cluster(pki),
    )?;
    let account = "/api/v1/namespaces/default/serviceaccounts/default";
    let controllers = "kube-controller-manager";
    health::wait_for(
        layout,
        "the default service account",
        PATIENCE,
        controllers,
        || {
            api::get(pki, account)
                .map(drop)
                .map_err(|error| error.to_string())
        },
    )
}

/// Starts a daemon and records it at once, so that a crash of ours leaves nothing unknown.
fn launch(layout: &Layout, daemon: Daemon) -> Result<()> {
    let process = daemon.start()?;
    State::update(layout, |state| {
        state.daemons.push(Record {
            daemon,
            process: Some(process),
        });
        Ok(())
    })
}

fn apply(layout: &Layout, binaries: &Binaries) -> Result<()> {
    let objects = serde_json::to_vec(&bootstrap::objects(layout)?)?;
    let mut kubectl = Command::new(binaries.kubernetes("kubectl"));
    kubectl
        .args(["apply", "--server-side", "--validate=false", "--filename=-"])
        .env("KUBECONFIG", layout.kubeconfig());
    command::finish_with_input(&mut kubectl, &objects).map(drop)
}
