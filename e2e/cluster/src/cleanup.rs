//! Removing everything that a cluster left on the machine, however it ended.
//!
//! Nothing is found by a broad name: processes are ours by the record of their start, by the
//! node's network namespace or cgroup they are in, or by a file of the cluster's folder in
//! their arguments.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::Signal;

use crate::address::NodeNumber;
use crate::layout::Layout;
use crate::process::Identity;
use crate::state::State;
use crate::{cgroup, containerd, kubelet, network};

/// How long killed processes take at most to be gone.
const GONE: Duration = Duration::from_secs(20);
/// How often what was started while we looked is looked for again.
const ROUNDS: usize = 5;
/// The programs that may be killed for an argument in the cluster's folder: not the editor or
/// the pager that somebody has open on a log.
const PROGRAMS: [&str; 11] = [
    "containerd",
    "containerd-shim-runc-v2",
    "coredns",
    "docker-registry",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubelet",
    "runc",
];

/// What is left of a cluster, as a person would name it; empty if the machine is clean.
pub fn remains(layout: &Layout) -> Vec<String> {
    let counts = [
        (processes(layout).len(), "processes"),
        (mounts_below(layout.root()).len(), "mounts"),
        (network::remains(), "namespaces and links"),
        (cgroup::remains(), "cgroups"),
    ];
    let counted = counts.iter().filter(|(count, _)| *count > 0);
    let mut found: Vec<_> = counted
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if layout.is_ours() {
        found.push(format!("the folder {}", layout.root().display()));
    }
    found
}

/// Kills what runs, unmounts, and removes namespaces, links, bridge, cgroups and the folder.
///
/// # Errors
/// Something stays; the error names it. What could be removed is removed, so that a second call
/// goes on where the first ended.
pub fn sweep(layout: &Layout) -> Result<()> {
    kill_all(layout)?;
    // Known by files in the folder, so found before those go.
    let outside: Vec<_> = containerd::leftovers(layout)
        .into_iter()
        .chain(kubelet::log_links(layout))
        .collect();
    unmount_all(layout.root())?;
    network::remove()?;
    cgroup::remove()?;
    outside.iter().try_for_each(|path| remove_file(path))?;
    remove_folder(layout)
}

/// Daemons first, or they would start again what is killed after them.
fn kill_all(layout: &Layout) -> Result<()> {
    for _ in 0..ROUNDS {
        let found = processes(layout);
        if found.is_empty() {
            return Ok(());
        }
        for process in &found {
            process.signal(Signal::SIGKILL);
        }
        for process in &found {
            process.wait_until_gone(GONE)?;
        }
    }
    bail!(
        "{} processes of the cluster come back when they are killed",
        processes(layout).len()
    )
}

/// Every process of the cluster that still runs, daemons first.
fn processes(layout: &Layout) -> Vec<Identity> {
    let recorded = State::read(layout)
        .map(|state| state.alive())
        .unwrap_or_default();
    let others = with_argument_in(layout.root())
        .chain(NodeNumber::all().flat_map(network::processes))
        .chain(NodeNumber::all().flat_map(cgroup::processes))
        .filter_map(Identity::of);
    let mut seen = BTreeSet::new();
    recorded
        .into_iter()
        .chain(others)
        .filter(|process| seen.insert(process.pid))
        .collect()
}

fn with_argument_in(root: &Path) -> impl Iterator<Item = u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(move |id: &u32| {
        std::fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| is_ours(&line, root))
    })
}

/// Whether a command line (arguments that end with a zero byte) is of one of our programs with
/// a path below `root` in an argument.
fn is_ours(command_line: &[u8], root: &Path) -> bool {
    let line = String::from_utf8_lossy(command_line);
    let mut args = line.split('\0');
    let program = args
        .next()
        .and_then(|program| program.rsplit('/').next())
        .unwrap_or_default();
    let below = format!("{}/", root.display());
    PROGRAMS.contains(&program) && args.any(|argument| argument.contains(&below))
}

/// The mounts below `root`, the last one first.
fn mounts_below(root: &Path) -> Vec<PathBuf> {
    parse_mounts(
        &std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(),
        root,
    )
}

fn parse_mounts(mountinfo: &str, root: &Path) -> Vec<PathBuf> {
    let all = mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescape);
    let mut below: Vec<_> = all
        .filter(|path| path.starts_with(root) && path != root)
        .collect();
    below.reverse();
    below
}

/// mountinfo writes a space, a tab, a newline and a backslash as three octal digits.
fn unescape(path: &str) -> PathBuf {
    let escapes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    PathBuf::from(
        escapes
            .iter()
            .fold(path.to_owned(), |path, (escape, byte)| {
                path.replace(escape, byte)
            }),
    )
}

fn unmount_all(root: &Path) -> Result<()> {
    for mount in mounts_below(root) {
        umount2(&mount, MntFlags::MNT_DETACH)
            .with_context(|| format!("cannot unmount {}", mount.display()))?;
    }
    Ok(())
}

/// One that is gone already is no error: containers of one pod share their shim's socket.
fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn remove_folder(layout: &Layout) -> Result<()> {
    if !layout.is_ours() {
        return Ok(());
    }
    // Removing goes through mounts: one that is left would lose what is mounted there.
    if let Some(mount) = mounts_below(layout.root()).first() {
        bail!("{} is still mounted", mount.display());
    }
    std::fs::remove_dir_all(layout.root())
        .with_context(|| format!("cannot remove {}", layout.root().display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "/var/lib/shoal-cluster";

    #[test]
    fn a_shim_of_ours_is_found_and_one_of_another_containerd_is_not() {
        let shim = |socket: &str| {
            format!("/usr/bin/containerd-shim-runc-v2\0-namespace\0k8s.io\0-address\0{socket}\0")
        };
        let ours = shim(&format!("{ROOT}/node1/containerd.sock"));
        let other = shim("/run/containerd/containerd.sock");
        assert!(is_ours(ours.as_bytes(), Path::new(ROOT)));
        assert!(!is_ours(other.as_bytes(), Path::new(ROOT)));
    }

    #[test]
    fn somebody_who_reads_a_log_is_left_alone() {
        let pager = format!("less\0{ROOT}/logs/etcd.log\0");
        assert!(!is_ours(pager.as_bytes(), Path::new(ROOT)));
    }

    #[test]
    fn a_flag_with_a_path_counts_and_a_folder_with_a_longer_name_does_not() {
        let etcd = format!("etcd\0--data-dir={ROOT}/etcd\0");
        let other = format!("etcd\0--data-dir={ROOT}-of-mine/etcd\0");
        assert!(is_ours(etcd.as_bytes(), Path::new(ROOT)));
        assert!(!is_ours(other.as_bytes(), Path::new(ROOT)));
    }

    #[test]
    fn mounts_are_undone_in_reverse_and_only_below_the_folder() {
        let info = format!(
            "1 0 0:1 / / rw - ext4 /dev/vda rw\n\
             2 1 0:2 / {ROOT} rw - ext4 /dev/vdb rw\n\
             3 1 0:2 / {ROOT}/a\\040b rw - tmpfs tmpfs rw\n\
             4 3 0:3 / {ROOT}/a\\040b/c rw - tmpfs tmpfs rw\n\
             5 1 0:4 / {ROOT}-of-mine/d rw - tmpfs tmpfs rw\n"
        );
        let wanted = [format!("{ROOT}/a b/c"), format!("{ROOT}/a b")].map(PathBuf::from);
        assert_eq!(parse_mounts(&info, Path::new(ROOT)), wanted);
    }
}
