//! A node's kubelet.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;

use crate::address::{BRIDGE_V4, NodeNumber};
use crate::binaries::Binaries;
use crate::kubeconfig;
use crate::layout::{Layout, make_folder, write};
use crate::pki::Pki;
use crate::process::Daemon;

/// Where every kubelet links the logs of its containers; there is no setting for it.
const LOG_LINKS: &str = "/var/log/containers";

/// Writes the configuration of a node's kubelet and returns the daemon.
///
/// # Errors
/// A file cannot be written.
pub fn daemon(layout: &Layout, binaries: &Binaries, pki: &Pki, node: NodeNumber) -> Result<Daemon> {
    let folder = layout.node(node);
    make_folder(&folder)?;
    let (client, config) = (
        folder.join("kubelet.kubeconfig"),
        folder.join("kubelet.json"),
    );
    kubeconfig::create(&client, pki, &node.name())?;
    write(
        &config,
        serde_json::to_vec_pretty(&configuration(layout, pki, node))?,
    )?;
    let name = format!("kubelet-{}", node.name());
    let args = vec![
        format!("--config={}", config.display()),
        format!("--kubeconfig={}", client.display()),
        format!("--root-dir={}", folder.join("kubelet").display()),
        format!(
            "--cert-dir={}",
            folder.join("kubelet-certificates").display()
        ),
        format!("--hostname-override={}", node.name()),
        format!("--node-ip={},{}", node.v4(), node.v6()),
        format!("--node-labels=topology.kubernetes.io/zone={}", node.zone()),
    ];
    Ok(Daemon {
        program: binaries.kubernetes("kubelet"),
        args,
        namespace: Some(node.namespace()),
        log: layout.logs().join(format!("{name}.log")),
        name,
    })
}

fn configuration(layout: &Layout, pki: &Pki, node: NodeNumber) -> serde_json::Value {
    let folder = layout.node(node);
    let serving = pki.pair(&format!("{}-serving", node.name()));
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": pki.pair("ca").certificate},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": serving.certificate,
        "tlsPrivateKeyFile": serving.key,
        "containerRuntimeEndpoint": format!("unix://{}", layout.containerd_socket(node).display()),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", node.cgroup()),
        "enforceNodeAllocatable": [],
        "failCgroupV1": false,
        "failSwapOn": false,
        "clusterDomain": "cluster.local",
        "clusterDNS": [BRIDGE_V4.to_string()],
        "resolvConf": layout.resolv_conf(),
        "podLogsDir": folder.join("pod-logs"),
        "serializeImagePulls": false,
        // Images are loaded by hand, and the disk is the whole machine's: nothing is removed.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
    })
}

/// The links to logs of ours that the kubelets left outside the cluster's folder.
pub fn log_links(layout: &Layout) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(LOG_LINKS) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            std::fs::read_link(path).is_ok_and(|target| target.starts_with(layout.root()))
        })
        .collect()
}
