//! A real Kubernetes of three nodes on one Linux machine, without Docker, in ten seconds.
//!
//! Each node is a network namespace with a containerd, a kubelet and a kube-proxy of its own;
//! etcd, API server, controllers, DNS and two registries run beside them. Everything is dual
//! stack. The components are the real ones, built once a machine from the Go module in `kube/`.
//!
//! ```no_run
//! use shoal_cluster::{Cluster, Options, progress};
//!
//! # fn main() -> anyhow::Result<()> {
//! let cluster = Cluster::up(&Options::from_environment()?, &progress::Terminal::default())?;
//! cluster.kubectl().args(["get", "nodes"]).status()?;
//! let answer = cluster.curl(Some(2), &["-sS", "http://hello.shop/"])?;
//! assert!(answer.status.success());
//! # Ok(())
//! # }
//! ```

pub mod address;
mod api;
mod apiserver;
mod audit;
pub mod binaries;
mod bootstrap;
mod cgroup;
mod cleanup;
mod cluster;
pub mod command;
mod containerd;
mod control;
mod controllers;
mod dns;
mod etcd;
mod health;
mod http;
mod kube_proxy;
mod kubeconfig;
mod kubelet;
pub mod layout;
mod lifecycle;
mod lock;
mod network;
mod node;
mod oci_archive;
pub mod packages;
mod pki;
mod process;
pub mod progress;
pub mod registry;
pub mod requirements;
mod start;
mod state;
mod volumes;
pub mod wait;

pub use audit::{AuditLog, Mark, Write};
pub use cluster::Cluster;
pub use control::DaemonControl;
pub use lifecycle::Options;
pub use node::Node;
pub use oci_archive::OciImage;
pub use volumes::{OWNER as VOLUME_OWNER, STORAGE_CLASS};
