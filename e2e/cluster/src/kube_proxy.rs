//! A node's kube-proxy.

use anyhow::Result;

use crate::address::{NodeNumber, POD_RANGES};
use crate::binaries::Binaries;
use crate::kubeconfig;
use crate::layout::Layout;
use crate::pki::Pki;
use crate::process::Daemon;

const USER: &str = "kube-proxy";

/// Writes the configuration of a node's kube-proxy and returns the daemon.
///
/// # Errors
/// A file cannot be written.
pub fn daemon(layout: &Layout, binaries: &Binaries, pki: &Pki, node: NodeNumber) -> Result<Daemon> {
    let config = layout.node(node).join("kube-proxy.kubeconfig");
    kubeconfig::create(&config, pki, USER)?;
    let name = format!("kube-proxy-{}", node.name());
    let mut args = vec![
        format!("--kubeconfig={}", config.display()),
        format!("--hostname-override={}", node.name()),
        format!("--cluster-cidr={POD_RANGES}"),
        "--proxy-mode=nftables".to_owned(),
    ];
    // The sysctls of connection tracking are not writable in a network namespace.
    let untouched = [
        "max-per-core",
        "min",
        "tcp-timeout-established",
        "tcp-timeout-close-wait",
    ];
    args.extend(untouched.map(|setting| format!("--conntrack-{setting}=0")));
    Ok(Daemon {
        program: binaries.kubernetes("kube-proxy"),
        args,
        namespace: Some(node.namespace()),
        log: layout.logs().join(format!("{name}.log")),
        name,
    })
}
