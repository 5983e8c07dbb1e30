//! etcd: one member, on loopback, without fsync (the cluster is not meant to survive a crash).

use crate::address::{ETCD_CLIENT_PORT, ETCD_PEER_PORT};
use crate::binaries::Binaries;
use crate::layout::Layout;
use crate::process::Daemon;

/// The daemon's name.
pub const NAME: &str = "etcd";

/// Where the API server finds it.
pub fn url() -> String {
    format!("http://127.0.0.1:{ETCD_CLIENT_PORT}")
}

/// The daemon.
pub fn daemon(layout: &Layout, binaries: &Binaries) -> Daemon {
    let peers = format!("http://127.0.0.1:{ETCD_PEER_PORT}");
    Daemon {
        name: NAME.to_owned(),
        program: binaries.kubernetes("etcd"),
        args: vec![
            "--name=shoal".to_owned(),
            format!("--data-dir={}", layout.config("etcd").display()),
            "--unsafe-no-fsync".to_owned(),
            format!("--listen-client-urls={}", url()),
            format!("--advertise-client-urls={}", url()),
            format!("--listen-peer-urls={peers}"),
            format!("--initial-advertise-peer-urls={peers}"),
            format!("--initial-cluster=shoal={peers}"),
            "--log-level=warn".to_owned(),
        ],
        namespace: None,
        log: layout.logs().join("etcd.log"),
    }
}
