//! The cluster as `xtask` and the tests see it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::address::{self, NodeNumber};
use crate::audit::AuditLog;
use crate::binaries::Binaries;
use crate::control::DaemonControl;
use crate::layout::Layout;
use crate::lock::MachineLock;
use crate::node::Node;
use crate::pki::Pki;
use crate::progress::{Progress, step};
use crate::state::State;
use crate::{
    apiserver, cleanup, command, containerd, health, network, packages, registry, requirements,
    start, volumes,
};

/// Another value, another cluster: raised when what a cluster consists of changes.
const EDITION: u32 = 1;
/// How long a cluster that was left alone may take to be healthy again, after a cable was
/// plugged in or a daemon started.
const RECOVERY: Duration = Duration::from_secs(60);

/// How to start a cluster.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where everything of it lies.
    pub layout: Layout,
    /// Whether Debian packages that are missing may be installed.
    pub install_packages: bool,
}

impl Options {
    /// The usual folder, and packages are installed.
    ///
    /// # Errors
    /// `SHOAL_CLUSTER_DIR` is no usable path.
    pub fn from_environment() -> Result<Self> {
        Ok(Self { layout: Layout::from_environment()?, install_packages: true })
    }
}

/// A running three-node cluster.
///
/// It belongs to the machine, not to the process that started it: it goes on when that process
/// ends, and dropping this value does nothing.
#[derive(Debug, Clone)]
pub struct Cluster {
    layout: Layout,
    binaries: PathBuf,
}

/// In what state a start finds the machine.
enum Found {
    Nothing,
    Running(Cluster),
    Broken(String),
}

impl Cluster {
    /// Starts the cluster, or takes the one that runs.
    ///
    /// One that is whole is left as it is, in under a second. What a test stopped (a daemon, a
    /// cable) is started again. Of one in which something died, everything is removed first;
    /// `progress` is told so.
    ///
    /// # Errors
    /// The machine cannot run a cluster (see [`requirements::check`]), or something does not
    /// start: the error names it, its log and the log's last lines.
    pub fn up(options: &Options, progress: &dyn Progress) -> Result<Self> {
        requirements::check()?;
        let layout = &options.layout;
        let mut lock = MachineLock::take()?;
        refuse_another(&mut lock, layout)?;
        if options.install_packages {
            packages::ensure(&packages::CLUSTER_TOOLS, progress)?;
        }
        let binaries = Binaries::ensure(progress)?;
        let recipe = format!("{EDITION} {}", binaries.recipe());
        match Self::examine(layout, &recipe, progress) {
            Found::Running(cluster) => return Ok(cluster),
            Found::Nothing => {}
            Found::Broken(why) => clean_up(layout, &why, progress)?,
        }
        lock.set_holder(Some(layout.root()))?;
        start::start(layout, &binaries, &recipe, progress)?;
        Ok(Self { layout: layout.clone(), binaries: binaries.folder().to_owned() })
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
            bail!("the local cluster is not whole; repair it with `cargo xtask cluster up`\n{}",
                dead.obituary());
        }
        Ok(Self { layout, binaries: state.binaries })
    }

    /// Stops the cluster and removes everything of it from the machine but the cached programs.
    ///
    /// # Errors
    /// Something cannot be removed; the error names it. Calling it again goes on from there.
    pub fn down(progress: &dyn Progress) -> Result<()> {
        let layout = Layout::from_environment()?;
        let mut lock = MachineLock::take()?;
        refuse_another(&mut lock, &layout)?;
        if cleanup::remains(&layout).is_empty() {
            progress.note("no local cluster runs");
            return Ok(());
        }
        step(progress, "Removing the local cluster", || cleanup::sweep(&layout))?;
        lock.set_holder(None)
    }

    fn examine(layout: &Layout, recipe: &str, progress: &dyn Progress) -> Found {
        let Some(state) = State::read(layout) else {
            let remains = cleanup::remains(layout);
            return if remains.is_empty() {
                Found::Nothing
            } else {
                Found::Broken("of an earlier cluster there is no record, but parts".to_owned())
            };
        };
        if let Some(why) = broken(&state, recipe) {
            return Found::Broken(why);
        }
        let cluster = Self { layout: layout.clone(), binaries: state.binaries.clone() };
        match cluster.recover(&state, progress) {
            Ok(()) => Found::Running(cluster),
            Err(error) => Found::Broken(format!("the local cluster is not healthy ({error:#})")),
        }
    }

    /// Undoes what tests do to a cluster on purpose, and waits until it is healthy.
    fn recover(&self, state: &State, progress: &dyn Progress) -> Result<()> {
        for node in NodeNumber::all() {
            let up = network::is_link_up(node)
                .with_context(|| format!("{} has no link", node.name()))?;
            if !up {
                progress.note(&format!("the link of {} was down: it is up again", node.name()));
                network::set_link(node, true)?;
            }
        }
        for daemon in state.stopped() {
            progress.note(&format!("{} was stopped: it is started again", daemon.name));
            self.daemon(&daemon.name).start()?;
        }
        let pki = self.pki();
        if health::cluster(&pki).is_ok() {
            return Ok(());
        }
        step(progress, "Waiting until the local cluster is healthy", || {
            health::wait_for(&self.layout, "health", RECOVERY, apiserver::NAME, || {
                health::cluster(&pki)
            })
        })
    }

    /// What a shell needs to use the cluster: `KUBECONFIG`, `SHOAL_REGISTRY`, and a `PATH` with
    /// kubectl if the machine has none.
    pub fn env(&self) -> Vec<(String, String)> {
        let mut env = vec![
            ("KUBECONFIG".to_owned(), self.kubeconfig().display().to_string()),
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
        NodeNumber::all().map(|number| Node::new(number, self.layout.clone())).collect()
    }

    /// curl on a node (node 1 unless told), with the cluster's DNS; not started yet.
    ///
    /// # Errors
    /// There is no such node.
    pub fn curl_command(&self, node: Option<u8>) -> Result<Command> {
        let mut curl = self.node(node.unwrap_or(1))?.command("curl");
        // A proxy of the machine's environment knows nothing of the cluster.
        curl.args(["--noproxy", "*"]);
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
        [registry::NAME, registry::PRIVATE_NAME].iter().try_for_each(|it| self.daemon(it).stop())
    }

    /// Starts both registries again.
    ///
    /// # Errors
    /// One is not ready within a minute.
    pub fn start_registry(&self) -> Result<()> {
        [registry::NAME, registry::PRIVATE_NAME].iter().try_for_each(|it| self.daemon(it).start())
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
                import.join().map_err(|_| anyhow!("loading an image panicked"))?
            })
        })
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
            kubectl.args(["patch", "persistentvolume", name, "--type=json", "--patch", patch]);
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

    fn pki(&self) -> Pki {
        Pki::at(&self.layout.pki())
    }
}

/// Bridge and addresses exist once on a machine: a cluster in another folder has them.
fn refuse_another(lock: &mut MachineLock, layout: &Layout) -> Result<()> {
    let Some(holder) = lock.holder()? else { return Ok(()) };
    let other = Layout::at(holder)?;
    if other != *layout && other.is_ours() {
        bail!(
            "this machine has a local cluster in {} already; use it, or stop it, with \
             SHOAL_CLUSTER_DIR={0}",
            other.root().display()
        );
    }
    Ok(())
}

/// Why a recorded cluster cannot be used, if so.
fn broken(state: &State, recipe: &str) -> Option<String> {
    if !state.complete {
        return Some("the last start of the local cluster did not finish".to_owned());
    }
    let dead: Vec<_> = state.dead().map(|daemon| daemon.name.as_str()).collect();
    if dead.len() == state.daemons.len() {
        return Some("the local cluster was ended with the machine, or killed".to_owned());
    }
    if !dead.is_empty() {
        return Some(format!("of the local cluster these had died: {}", dead.join(", ")));
    }
    (state.recipe != recipe).then(|| "the local cluster was made from other versions".to_owned())
}

fn clean_up(layout: &Layout, why: &str, progress: &dyn Progress) -> Result<()> {
    let remains = cleanup::remains(layout).join(", ");
    progress.note(&format!("{why}; removing {remains}"));
    step(progress, "Cleaning up", || cleanup::sweep(layout))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Daemon, Identity};
    use crate::state::{Record, boot};

    fn state(processes: &[Option<Identity>]) -> State {
        let record = |process: &Option<Identity>| Record {
            daemon: Daemon {
                name: "kubelet-node1".to_owned(),
                program: "kubelet".into(),
                args: Vec::new(),
                namespace: None,
                log: "/dev/null".into(),
            },
            process: *process,
        };
        State {
            recipe: "1".to_owned(),
            boot: boot(),
            complete: true,
            binaries: PathBuf::new(),
            daemons: processes.iter().map(record).collect(),
        }
    }

    #[test]
    fn a_cluster_in_which_something_died_is_not_used() {
        let own = Identity::of(std::process::id()).unwrap();
        let gone = Identity { started: own.started + 1, ..own };
        assert_eq!(broken(&state(&[Some(own), None]), "1"), None);
        let why = broken(&state(&[Some(own), Some(gone)]), "1").unwrap();
        assert!(why.contains("kubelet-node1"), "{why}");
    }

    #[test]
    fn a_start_that_did_not_finish_is_not_used() {
        let own = Identity::of(std::process::id()).unwrap();
        let state = State { complete: false, ..state(&[Some(own)]) };
        assert!(broken(&state, "1").unwrap().contains("did not finish"));
    }

    #[test]
    fn a_cluster_of_other_versions_is_not_used() {
        let own = Identity::of(std::process::id()).unwrap();
        assert!(broken(&state(&[Some(own)]), "2").unwrap().contains("other versions"));
    }
}
