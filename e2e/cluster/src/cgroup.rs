//! A cgroup a node, in every hierarchy: below it the kubelet puts the node's pods.
//!
//! Works with cgroup v1 (a hierarchy per controller) and with v2 (one for all).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::address::NodeNumber;
use crate::wait;

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hierarchy {
    root: PathBuf,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    /// The only hierarchy, so the controllers are here.
    V2,
    /// Mounted beside v1 hierarchies: it has no controllers.
    Hybrid,
}

/// Makes every node's cgroup in every hierarchy.
///
/// # Errors
/// One cannot be made.
pub fn create() -> Result<()> {
    for hierarchy in mounted() {
        if hierarchy.version == Version::V2 {
            enable_controllers(&hierarchy.root)?;
        }
        for node in NodeNumber::all() {
            let folder = hierarchy.root.join(node.cgroup());
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
            inherit_cpuset(&hierarchy.root, &folder)?;
        }
    }
    Ok(())
}

/// A new v1 cpuset is empty, and nothing can run in it, until it is told what to run on.
fn inherit_cpuset(parent: &Path, folder: &Path) -> Result<()> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let (from, to) = (parent.join(name), folder.join(name));
        if from.is_file() && to.is_file() {
            let value = std::fs::read_to_string(&from)?;
            std::fs::write(&to, value).with_context(|| format!("cannot set {}", to.display()))?;
        }
    }
    Ok(())
}

fn enable_controllers(root: &Path) -> Result<()> {
    let controllers = std::fs::read_to_string(root.join("cgroup.controllers"))?;
    let wanted: Vec<_> = controllers
        .split_whitespace()
        .map(|name| format!("+{name}"))
        .collect();
    let control = root.join("cgroup.subtree_control");
    std::fs::write(&control, wanted.join(" ")).with_context(|| {
        format!(
            "cannot enable {} in {}",
            wanted.join(" "),
            control.display()
        )
    })
}

/// The processes of all pods of a node.
pub fn processes(node: NodeNumber) -> Vec<u32> {
    let folders = mounted().into_iter().map(|it| it.root.join(node.cgroup()));
    let mut found: Vec<_> = folders
        .flat_map(|folder| processes_below(&folder))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn processes_below(folder: &Path) -> Vec<u32> {
    let own = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let mut found: Vec<u32> = own.lines().filter_map(|line| line.parse().ok()).collect();
    for child in children(folder) {
        found.extend(processes_below(&child));
    }
    found
}

/// How many nodes have a cgroup.
pub fn remains() -> usize {
    let hierarchies = mounted();
    let there = |node: &NodeNumber| {
        hierarchies
            .iter()
            .any(|it| it.root.join(node.cgroup()).is_dir())
    };
    NodeNumber::all().filter(there).count()
}

/// Removes every node's cgroups. What ran in them must have ended.
///
/// # Errors
/// One stays busy.
pub fn remove() -> Result<()> {
    for hierarchy in mounted() {
        for node in NodeNumber::all() {
            let folder = hierarchy.root.join(node.cgroup());
            // The kernel empties a cgroup a moment after its last process is gone.
            wait::until("the end of a cgroup", Duration::from_secs(5), || {
                Ok(remove_below(&folder).map_err(|error| format!("{error:#}")))
            })?;
        }
    }
    Ok(())
}

fn remove_below(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    children(folder)
        .iter()
        .try_for_each(|child| remove_below(child))?;
    std::fs::remove_dir(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

fn mounted() -> Vec<Hierarchy> {
    parse(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
}

/// The cgroup mounts of a mountinfo (proc(5)): the fifth field is where, the one after ` - `
/// the type.
fn parse(mountinfo: &str) -> Vec<Hierarchy> {
    let mut found: Vec<_> = mountinfo
        .lines()
        .filter_map(|line| {
            let (mount, filesystem) = line.split_once(" - ")?;
            let root = PathBuf::from(mount.split(' ').nth(4)?);
            let version = match filesystem.split(' ').next()? {
                "cgroup" => Version::V1,
                "cgroup2" => Version::V2,
                _ => return None,
            };
            Some(Hierarchy { root, version })
        })
        .collect();
    if found.iter().any(|it| it.version == Version::V1) {
        for hierarchy in found.iter_mut().filter(|it| it.version == Version::V2) {
            hierarchy.version = Version::Hybrid;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(mountinfo: &str) -> Vec<(String, Version)> {
        parse(mountinfo)
            .into_iter()
            .map(|it| (it.root.display().to_string(), it.version))
            .collect()
    }

    #[test]
    fn one_unified_hierarchy_is_version_two() {
        let info = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n\
                    22 27 0:21 / /proc rw - proc proc rw\n";
        assert_eq!(versions(info), [("/sys/fs/cgroup".to_owned(), Version::V2)]);
    }

    #[test]
    fn version_two_beside_version_one_has_no_controllers() {
        let info = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                    41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        assert_eq!(
            versions(info),
            [
                ("/sys/fs/cgroup/memory".to_owned(), Version::V1),
                ("/sys/fs/cgroup/unified".to_owned(), Version::Hybrid),
            ]
        );
    }
}
