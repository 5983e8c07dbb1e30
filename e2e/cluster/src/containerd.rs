//! A node's containerd, and the network that it gives to pods (CNI).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use crate::address::{NodeNumber, private_registry, registry};
use crate::command;
use crate::layout::{Layout, make_folder, write};
use crate::process::Daemon;

/// The image of the container that holds a pod's namespaces. The name has no real registry's
/// host in it: containerd would try to pull it.
pub const PAUSE_IMAGE: &str = "localhost/pause:1";
/// Where Debian's containernetworking-plugins has its programs.
const CNI_PROGRAMS: &str = "/usr/lib/cni";
/// Where CNI caches its results; there is no setting for it.
const CNI_CACHE: &str = "/var/lib/cni/results";
/// The folder of what containerd keeps while it runs, within the node's.
const STATE: &str = "containerd-state";

/// Writes the configuration of a node's containerd and returns the daemon.
///
/// # Errors
/// A file cannot be written.
pub fn daemon(layout: &Layout, node: NodeNumber) -> Result<Daemon> {
    let folder = layout.node(node);
    let networks = folder.join("cni");
    make_folder(&networks)?;
    write(
        &networks.join("10-shoal.conflist"),
        serde_json::to_vec_pretty(&network(node, &folder))?,
    )?;
    let config = folder.join("containerd.toml");
    write(&config, configuration(layout, node))?;
    let name = format!("containerd-{}", node.name());
    Ok(Daemon {
        program: command::find("containerd").unwrap_or_else(|| "containerd".into()),
        args: vec![format!("--config={}", config.display())],
        namespace: Some(node.namespace()),
        log: layout.logs().join(format!("{name}.log")),
        name,
    })
}

/// `restrict_oom_score_adj`: without it every sandbox dies where root may not lower its score.
fn configuration(layout: &Layout, node: NodeNumber) -> String {
    let folder = layout.node(node);
    let at = |name: &str| quoted(&folder.join(name));
    let socket = quoted(&layout.containerd_socket(node));
    let mirrors: String = [registry(), private_registry()]
        .iter()
        .map(|host| {
            format!(
                "[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"{host}\"]\n\
                 endpoint = [\"http://{host}\"]\n"
            )
        })
        .collect();
    format!(
        "version = 2
root = {root}
state = {state}
disabled_plugins = [
  \"io.containerd.snapshotter.v1.aufs\",
  \"io.containerd.snapshotter.v1.btrfs\",
  \"io.containerd.snapshotter.v1.devmapper\",
  \"io.containerd.snapshotter.v1.zfs\",
]
[grpc]
address = {socket}
[ttrpc]
address = {ttrpc}
[plugins.\"io.containerd.grpc.v1.cri\"]
sandbox_image = \"{PAUSE_IMAGE}\"
restrict_oom_score_adj = true
disable_hugetlb_controller = true
netns_mounts_under_state_dir = true
[plugins.\"io.containerd.grpc.v1.cri\".containerd]
snapshotter = \"overlayfs\"
[plugins.\"io.containerd.grpc.v1.cri\".cni]
bin_dir = \"{CNI_PROGRAMS}\"
conf_dir = {cni}
{mirrors}",
        root = at("containerd"),
        state = at(STATE),
        ttrpc = at("containerd-ttrpc.sock"),
        cni = at("cni"),
    )
}

/// A TOML string: JSON's escapes are a subset of TOML's.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.display().to_string()).to_string()
}

fn network(node: NodeNumber, folder: &Path) -> serde_json::Value {
    json!({
        "cniVersion": "0.4.0",
        "name": node.cni_network(),
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": true,
                "isDefaultGateway": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": folder.join("ipam"),
                    "ranges": [[{"subnet": node.pods_v4()}], [{"subnet": node.pods_v6()}]],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

/// Whether a node's containerd answers.
pub fn is_ready(layout: &Layout, node: NodeNumber) -> bool {
    command::finish(ctr(layout, node).arg("version")).is_ok()
}

/// Loads an OCI archive into a node's containerd, where pods find it.
///
/// # Errors
/// It is no OCI archive with a name in it, or containerd does not take it.
pub fn import(layout: &Layout, node: NodeNumber, archive: &Path) -> Result<()> {
    let mut import = ctr(layout, node);
    import
        .args(["--namespace", "k8s.io", "images", "import"])
        .arg(archive);
    command::finish(&mut import)
        .map(drop)
        .with_context(|| format!("{} does not take {}", node.name(), archive.display()))
}

/// Whether a node's containerd has an image of that whole name.
///
/// # Errors
/// It does not answer.
pub fn has_image(layout: &Layout, node: NodeNumber, name: &str) -> Result<bool> {
    let mut list = ctr(layout, node);
    list.args(["--namespace", "k8s.io", "images", "list", "--quiet"]);
    let printed = command::finish(list.arg(format!("name=={name}")))?;
    Ok(printed.lines().any(|line| line == name))
}

fn ctr(layout: &Layout, node: NodeNumber) -> Command {
    let mut ctr = Command::new("ctr");
    ctr.arg("--address")
        .arg(layout.containerd_socket(node))
        .env("PATH", command::search_path());
    ctr
}

/// What CNI and the shims of our pods keep outside the cluster's folder.
pub fn leftovers(layout: &Layout) -> Vec<PathBuf> {
    NodeNumber::all()
        .flat_map(|node| {
            let sandboxes = sandboxes(node);
            let results = sandboxes.into_iter().flat_map(move |id| {
                let eth0 = format!("{}-{id}-eth0", node.cni_network());
                [eth0, format!("cni-loopback-{id}-lo")].map(|name| Path::new(CNI_CACHE).join(name))
            });
            results.chain(shim_sockets(layout, node))
        })
        .filter(|path| path.exists())
        .collect()
}

/// The pods that a node's network has addresses for, by the id of their sandbox.
fn sandboxes(node: NodeNumber) -> Vec<String> {
    let prefix = format!("{}-", node.cni_network());
    let Ok(entries) = std::fs::read_dir(CNI_CACHE) else {
        return Vec::new();
    };
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter_map(|name| {
            Some(
                name.strip_prefix(&prefix)?
                    .strip_suffix("-eth0")?
                    .to_owned(),
            )
        })
        .collect()
}

/// The sockets of a node's shims: killed, they cannot remove them themselves.
fn shim_sockets(layout: &Layout, node: NodeNumber) -> Vec<PathBuf> {
    let tasks = layout
        .node(node)
        .join(STATE)
        .join("io.containerd.runtime.v2.task/k8s.io");
    let Ok(entries) = std::fs::read_dir(tasks) else {
        return Vec::new();
    };
    let addresses = entries
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("address")).ok());
    addresses
        .filter_map(|address| Some(PathBuf::from(address.trim().strip_prefix("unix://")?)))
        .collect()
}
