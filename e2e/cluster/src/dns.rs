//! CoreDNS on the bridge: the names of Services, for pods and for processes on the nodes.

use anyhow::Result;

use crate::address::{BRIDGE_V4, BRIDGE_V6, DNS_READY_PORT};
use crate::binaries::Binaries;
use crate::kubeconfig;
use crate::layout::{Layout, write};
use crate::pki::Pki;
use crate::process::Daemon;

/// The daemon's name.
pub const NAME: &str = "coredns";

/// Writes the configuration and returns the daemon.
///
/// # Errors
/// A file cannot be written.
pub fn daemon(layout: &Layout, binaries: &Binaries, pki: &Pki) -> Result<Daemon> {
    let config = layout.config("coredns.kubeconfig");
    kubeconfig::create(&config, pki, NAME)?;
    let corefile = layout.config("Corefile");
    write(&corefile, zone(&config.display().to_string()))?;
    // What a name such as `app.namespace` is completed with on a node: inside a pod the kubelet
    // also searches the pod's own namespace, which a node has none of.
    write(
        &layout.resolv_conf(),
        format!(
            "nameserver {BRIDGE_V4}\nsearch svc.cluster.local cluster.local\noptions ndots:5\n"
        ),
    )?;
    Ok(Daemon {
        name: NAME.to_owned(),
        program: binaries.coredns(),
        args: vec![format!("-conf={}", corefile.display())],
        namespace: None,
        log: layout.logs().join("coredns.log"),
    })
}

/// A name that does not exist yet is asked for again after a second: tests call a Service the
/// moment that it is there.
fn zone(kubeconfig: &str) -> String {
    format!(
        ".:53 {{
    bind {BRIDGE_V4} {BRIDGE_V6}
    errors
    ready 127.0.0.1:{DNS_READY_PORT}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        ttl 5
    }}
    cache 5 {{
        denial 9984 1
    }}
}}
"
    )
}
