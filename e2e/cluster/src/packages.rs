//! Debian packages that the cluster and the tests need, installed when something is missing.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command;
use crate::progress::{Progress, step};

/// A program and the Debian package that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tool {
    /// The program's name, looked up as a shell does; or an absolute path.
    pub program: &'static str,
    /// The package.
    pub package: &'static str,
}

/// What the local cluster itself runs or calls.
pub const CLUSTER_TOOLS: [Tool; 14] = [
    Tool {
        program: "containerd",
        package: "containerd",
    },
    Tool {
        program: "ctr",
        package: "containerd",
    },
    Tool {
        program: "runc",
        package: "runc",
    },
    Tool {
        program: "/usr/lib/cni/bridge",
        package: "containernetworking-plugins",
    },
    Tool {
        program: "ip",
        package: "iproute2",
    },
    Tool {
        program: "nft",
        package: "nftables",
    },
    Tool {
        program: "conntrack",
        package: "conntrack",
    },
    Tool {
        program: "iptables",
        package: "iptables",
    },
    Tool {
        program: "docker-registry",
        package: "docker-registry",
    },
    Tool {
        program: "curl",
        package: "curl",
    },
    Tool {
        program: "gcc",
        package: "gcc",
    },
    Tool {
        program: "/usr/include/stdlib.h",
        package: "libc6-dev",
    },
    Tool {
        program: "nsenter",
        package: "util-linux",
    },
    Tool {
        program: "mount",
        package: "mount",
    },
];

impl Tool {
    /// Whether the machine has it.
    pub fn is_there(&self) -> bool {
        if self.program.starts_with('/') {
            std::path::Path::new(self.program).exists()
        } else {
            command::find(self.program).is_some()
        }
    }
}

/// Which of `tools` the machine lacks.
pub fn missing(tools: &[Tool]) -> Vec<Tool> {
    tools
        .iter()
        .filter(|tool| !tool.is_there())
        .copied()
        .collect()
}

/// Installs what is missing of `tools`; says what it does, and does nothing when nothing is
/// missing.
///
/// # Errors
/// Not root, no apt, or the installation fails: the error names what is missing.
pub fn ensure(tools: &[Tool], progress: &dyn Progress) -> Result<()> {
    let missing = missing(tools);
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<_> = missing.iter().map(|tool| tool.package).collect();
    packages.sort_unstable();
    packages.dedup();
    let list = packages.join(" ");
    if !can_install() {
        let programs: Vec<_> = missing.iter().map(|tool| tool.program).collect();
        bail!(
            "{} not found; as root: apt-get install {list}",
            programs.join(", ")
        );
    }
    step(
        progress,
        &format!("Installing Debian packages: {list}"),
        || {
            apt(&["update"])?;
            let mut install = vec!["install", "--yes", "--no-install-recommends"];
            install.extend(packages);
            apt(&install)
        },
    )
}

/// Whether packages can be installed here at all.
pub fn can_install() -> bool {
    nix::unistd::geteuid().is_root() && command::find("apt-get").is_some()
}

fn apt(args: &[&str]) -> Result<()> {
    let output = Command::new("apt-get")
        .args(["-q", "-o", "Dpkg::Use-Pty=0"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context("cannot start apt-get")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "apt-get {} ended with {}: {}",
            args.join(" "),
            output.status,
            said.trim()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_there_is_missing() {
        let there = Tool {
            program: "sh",
            package: "dash",
        };
        let absent = Tool {
            program: "no-such-program-anywhere",
            package: "none",
        };
        assert_eq!(missing(&[there, absent]), [absent]);
    }

    #[test]
    fn a_tool_by_path_is_looked_up_by_path() {
        assert!(
            Tool {
                program: "/bin/sh",
                package: "dash"
            }
            .is_there()
        );
        assert!(
            !Tool {
                program: "/no/such/file",
                package: "none"
            }
            .is_there()
        );
    }
}
