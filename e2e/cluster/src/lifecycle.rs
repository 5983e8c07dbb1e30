//! Starting, taking over and removing a cluster.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::address::NodeNumber;
use crate::binaries::Binaries;
use crate::cluster::Cluster;
use crate::layout::Layout;
use crate::lock::MachineLock;
use crate::progress::{Progress, step};
use crate::state::State;
use crate::{apiserver, cleanup, health, network, packages, requirements, start};

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
        Ok(Self {
            layout: Layout::from_environment()?,
            install_packages: true,
        })
    }
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
        Ok(Self::at(layout, binaries.folder()))
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
        step(progress, "Removing the local cluster", || {
            cleanup::sweep(&layout)
        })?;
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
        let cluster = Self::at(layout, &state.binaries);
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
                progress.note(&format!(
                    "the link of {} was down: it is up again",
                    node.name()
                ));
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
        step(
            progress,
            "Waiting until the local cluster is healthy",
            || {
                health::wait_for(self.layout(), "health", RECOVERY, apiserver::NAME, || {
                    health::cluster(&pki)
                })
            },
        )
    }
}

/// Bridge and addresses exist once on a machine: a cluster in another folder has them.
fn refuse_another(lock: &mut MachineLock, layout: &Layout) -> Result<()> {
    let Some(holder) = lock.holder()? else {
        return Ok(());
    };
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
        return Some(format!(
            "of the local cluster these had died: {}",
            dead.join(", ")
        ));
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
            binaries: std::path::PathBuf::new(),
            daemons: processes.iter().map(record).collect(),
        }
    }

    #[test]
    fn a_cluster_in_which_something_died_is_not_used() {
        let own = Identity::of(std::process::id()).unwrap();
        let gone = Identity {
            started: own.started + 1,
            ..own
        };
        assert_eq!(broken(&state(&[Some(own), None]), "1"), None);
        let why = broken(&state(&[Some(own), Some(gone)]), "1").unwrap();
        assert!(why.contains("kubelet-node1"), "{why}");
    }

    #[test]
    fn a_start_that_did_not_finish_is_not_used() {
        let own = Identity::of(std::process::id()).unwrap();
        let state = State {
            complete: false,
            ..state(&[Some(own)])
        };
        assert!(broken(&state, "1").unwrap().contains("did not finish"));
    }

    #[test]
    fn a_cluster_of_other_versions_is_not_used() {
        let own = Identity::of(std::process::id()).unwrap();
        assert!(
            broken(&state(&[Some(own)]), "2")
                .unwrap()
                .contains("other versions")
        );
    }
}
