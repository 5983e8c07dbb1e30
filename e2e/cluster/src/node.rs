//! One node as a test sees it: what runs on it, and its cable.

use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};

use crate::address::NodeNumber;
use crate::command;
use crate::layout::Layout;
use crate::network;

/// A node of a running cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    number: NodeNumber,
    layout: Layout,
}

/// Where a name is looked up is up to two files of the machine, which a process on a node sees
/// differently: in a mount namespace of its own.
const WITH_CLUSTER_DNS: &str = "mount --bind \"$1\" /etc/resolv.conf
if grep -qs resolve /etc/nsswitch.conf; then
  mount --bind \"$2\" /etc/nsswitch.conf
fi
shift 2
exec \"$@\"";

impl Node {
    pub(crate) fn new(number: NodeNumber, layout: Layout) -> Self {
        Self { number, layout }
    }

    /// Its name: `node1` to `node3`.
    pub fn name(&self) -> String {
        self.number.name()
    }

    /// Its addresses.
    pub fn number(&self) -> NodeNumber {
        self.number
    }

    /// A command that runs in the node's network, with the cluster's DNS: `app.namespace` is
    /// found by name. Files and processes are the machine's.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", self.number.namespace()))
            .args(["unshare", "--mount", "sh", "-c", WITH_CLUSTER_DNS, "sh"])
            .arg(self.layout.resolv_conf())
            .arg(self.layout.config("nsswitch.conf"))
            .arg(program)
            .env("PATH", command::search_path());
        command
    }

    /// Runs a command as [`Node::command`] makes it, to its end.
    ///
    /// # Errors
    /// It cannot be started. That it fails is in the output's status.
    pub fn exec(&self, program: &str, args: &[&str]) -> Result<Output> {
        self.command(program)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {program} on {}", self.name()))
    }

    /// Cuts the node off the network, as a broken cable does. Its pods run on.
    ///
    /// # Errors
    /// There is no such link.
    pub fn link_down(&self) -> Result<()> {
        network::set_link(self.number, false)
    }

    /// Plugs the cable in again.
    ///
    /// # Errors
    /// There is no such link.
    pub fn link_up(&self) -> Result<()> {
        network::set_link(self.number, true)
    }
}
