//! The cluster as `xtask` and the tests see it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use crate::address::{self, NodeNumber};
use crate::audit::AuditLog;
use crate::control::DaemonControl;
use crate::layout::Layout;
use crate::node::Node;
use crate::pki::Pki;
use crate::state::State;
use crate::{apiserver, command, containerd, registry, volumes};

/// A running three-node cluster.
///
/// It belongs to the machine, not to the process that started it: it goes on when that process
/// ends, and dropping this value does nothing.
#[derive(Debug, Clone)]
pub struct Cluster {
    layout: Layout,
    binaries: PathBuf,
}

impl Cluster {
    pub(crate) fn at(layout: &Layout, binaries: &Path) -> Self {
        Self {
            layout: layout.clone(),
            binaries: binaries.to_owned(),
        }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The cluster that runs, which is not changed.
    ///
    /// # Errors
    /// None runs, or something in it has died.
    pub fn attach() -> Result<Self> {
        let layout = Layout::from_environment()?;
        let state = State::read(&layout)
            .filter(|state| state.complete)
            .context("no local cluster runs; start it with `cargo xtask cluster up`")?;
        if let Some(dead) = state.dead().next() {
            bail!(
                "the local cluster is not whole; repair it with `cargo xtask cluster up`\n{}",
                dead.obituary()
            );
        }
        Ok(Self {
            layout,
            binaries: state.binaries,
        })
    }

    /// What a shell needs to use the cluster: `KUBECONFIG`, `SHOAL_REGISTRY`, and a `PATH` with
    /// kubectl if the machine has none.
    pub fn env(&self) -> Vec<(String, String)> {
        let mut env = vec![
            (
                "KUBECONFIG".to_owned(),
                self.kubeconfig().display().to_string(),
            ),
            ("SHOAL_REGISTRY".to_owned(), self.registry()),
        ];
        if command::find("kubectl").is_none() {
            let path = std::env::var("PATH").unwrap_or_default();
            let folder = self.layout.config("bin");
            env.push(("PATH".to_owned(), format!("{}:{path}", folder.display())));
        }
        env
    }

    /// The administrator's kubeconfig, with the certificates in it.
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig()
    }

    /// `host:port` of the registry, over plain HTTP, as the machine, nodes and pods reach it.
    pub fn registry(&self) -> String {
        address::registry()
    }

    /// `host:port` of a second registry over the same storage, that asks for
    /// [`registry::USER`] and [`registry::PASSWORD`].
    pub fn private_registry(&self) -> String {
        address::private_registry()
    }

    /// kubectl of the cluster's own version, as the administrator.
    pub fn kubectl(&self) -> Command {
        let mut kubectl = Command::new(self.binaries.join("kubectl"));
        kubectl.env("KUBECONFIG", self.kubeconfig());
        kubectl
    }

    /// The node of that number, 1 to 3.
    ///
    /// # Errors
    /// There is no such node.
    pub fn node(&self, number: u8) -> Result<Node> {
        let number = NodeNumber::new(number)
            .ok_or_else(|| anyhow!("there is no node {number}; 1 to {} are", address::NODES))?;
        Ok(Node::new(number, self.layout.clone()))
    }

    /// All nodes, in order.
    pub fn nodes(&self) -> Vec<Node> {
        NodeNumber::all()
            .map(|number| Node::new(number, self.layout.clone()))
            .collect()
    }

    /// curl on a node (node 1 unless told), with the cluster's DNS; not started yet.
    ///
    /// # Errors
    /// There is no such node.
    pub fn curl_command(&self, node: Option<u8>) -> Result<Command> {
        let mut curl = self.node(node.unwrap_or(1))?.command("curl");
        // A proxy of the machine's environment knows nothing of the cluster.
        curl.args(["--noproxy", "*", "--no-progress-meter"]);
        Ok(curl)
    }

    /// Runs [`Cluster::curl_command`] with `args` and returns what it printed.
    ///
    /// # Errors
    /// There is no such node, or curl cannot be started. That it fails is in the status.
    pub fn curl(&self, node: Option<u8>, args: &[&str]) -> Result<Output> {
        self.curl_command(node)?
            .args(args)
            .stdin(Stdio::null())
            .output()
            .context("cannot start curl")
    }

    /// A daemon by its name: `etcd`, `kube-apiserver`, `kube-controller-manager`,
    /// `kube-scheduler`, `coredns`, `registry`, `registry-private`, and `containerd-node1`,
    /// `kubelet-node1`, `kube-proxy-node1` for each node.
    pub fn daemon(&self, name: &str) -> DaemonControl {
        DaemonControl::new(self.layout.clone(), name)
    }

    /// The API server.
    pub fn apiserver(&self) -> DaemonControl {
        self.daemon(apiserver::NAME)
    }

    /// Stops both registries; what was pushed is kept.
    ///
    /// # Errors
    /// One does not end.
    pub fn stop_registry(&self) -> Result<()> {
        [registry::NAME, registry::PRIVATE_NAME]
            .iter()
            .try_for_each(|it| self.daemon(it).stop())
    }

    /// Starts both registries again.
    ///
    /// # Errors
    /// One is not ready within a minute.
    pub fn start_registry(&self) -> Result<()> {
        [registry::NAME, registry::PRIVATE_NAME]
            .iter()
            .try_for_each(|it| self.daemon(it).start())
    }

    /// Loads an OCI archive (see [`crate::OciImage`]) into every node at once. Pods use it under
    /// the name in it, with `imagePullPolicy` `IfNotPresent` or `Never`.
    ///
    /// # Errors
    /// A node does not take it.
    pub fn load_image(&self, archive: &Path) -> Result<()> {
        std::thread::scope(|scope| {
            let imports: Vec<_> = NodeNumber::all()
                .map(|node| scope.spawn(move || containerd::import(&self.layout, node, archive)))
                .collect();
            imports.into_iter().try_for_each(|import| {
                import
                    .join()
                    .map_err(|_| anyhow!("loading an image panicked"))?
            })
        })
    }

    /// Whether every node has an image of that whole name, with host and tag.
    ///
    /// # Errors
    /// A node's containerd does not answer.
    pub fn has_image(&self, name: &str) -> Result<bool> {
        for node in NodeNumber::all() {
            if !containerd::has_image(&self.layout, node, name)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes volumes whose claim is gone empty and available again; returns their names.
    ///
    /// # Errors
    /// The API server does not answer, or a folder cannot be emptied.
    pub fn recycle_volumes(&self) -> Result<Vec<String>> {
        let list = crate::api::get_json(&self.pki(), "/api/v1/persistentvolumes")?;
        let released = volumes::released(&list);
        for name in &released {
            volumes::make_empty(&self.layout.volumes().join(name))?;
            let patch = r#"[{"op": "remove", "path": "/spec/claimRef"}]"#;
            let mut kubectl = self.kubectl();
            kubectl.args([
                "patch",
                "persistentvolume",
                name,
                "--type=json",
                "--patch",
                patch,
            ]);
            command::finish(&mut kubectl)?;
        }
        Ok(released)
    }

    /// What was written through the API server, by its own log.
    pub fn audit_log(&self) -> AuditLog {
        AuditLog::at(self.layout.audit_log())
    }

    /// The folder of the daemons' logs, a file each.
    pub fn logs(&self) -> PathBuf {
        self.layout.logs()
    }

    pub(crate) fn pki(&self) -> Pki {
        Pki::at(&self.layout.pki())
    }
}
