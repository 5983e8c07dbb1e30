//! Where everything that belongs to a running cluster lies.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::address::NodeNumber;

/// The folder unless the environment names another: short, because sockets lie in it (their
/// paths end at 107 bytes), and not under a build folder, because it has to outlive builds.
const DEFAULT: &str = "/var/lib/shoal-cluster";
/// The environment variable that names another folder.
const VARIABLE: &str = "SHOAL_CLUSTER_DIR";
/// Shows that a folder was made here, so that removing it can hurt nobody.
const MARK: &str = ".shoal-cluster";
/// The longest path that leaves room for the deepest socket.
const LONGEST: usize = 60;

/// The paths of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout at `$SHOAL_CLUSTER_DIR`, or at `/var/lib/shoal-cluster`.
    ///
    /// # Errors
    /// As [`Layout::at`].
    pub fn from_environment() -> Result<Self> {
        match std::env::var_os(VARIABLE) {
            Some(folder) if !folder.is_empty() => {
                Self::at(PathBuf::from(folder)).with_context(|| format!("in {VARIABLE}"))
            }
            _ => Self::at(PathBuf::from(DEFAULT)),
        }
    }

    /// The layout at `root`.
    ///
    /// # Errors
    /// `root` is relative, or too long for the sockets that lie in it.
    pub fn at(root: PathBuf) -> Result<Self> {
        if !root.is_absolute() {
            bail!("{} is no absolute path", root.display());
        }
        if root.as_os_str().len() > LONGEST {
            bail!(
                "{} is longer than {LONGEST} bytes, too long for sockets",
                root.display()
            );
        }
        Ok(Self { root })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the folder and marks it as ours.
    ///
    /// # Errors
    /// It cannot be made, or holds something that is not ours.
    pub fn create(&self) -> Result<()> {
        if self.root.exists() && !self.is_ours() && !is_empty(&self.root)? {
            bail!(
                "{} has other files in it; choose another folder with {VARIABLE}",
                self.root.display()
            );
        }
        // The mark comes first: a crash in between leaves a folder that is known as ours.
        make_folder(&self.root)?;
        write(
            &self.root.join(MARK),
            "A local Shoal test cluster. It is removed as a whole.\n",
        )?;
        [self.logs(), self.pki(), self.volumes()]
            .iter()
            .try_for_each(|folder| make_folder(folder))
    }

    /// Whether [`Layout::create`] made this folder.
    pub fn is_ours(&self) -> bool {
        self.root.join(MARK).is_file()
    }

    /// The record of what runs.
    pub fn state(&self) -> PathBuf {
        self.root.join("state.json")
    }

    /// A file a daemon for what it prints.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Keys and certificates.
    pub fn pki(&self) -> PathBuf {
        self.root.join("pki")
    }

    /// The folders behind the PersistentVolumes.
    pub fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    /// The API server's audit log.
    pub fn audit_log(&self) -> PathBuf {
        self.root.join("audit.log")
    }

    /// The resolv.conf that makes Services reachable by name.
    pub fn resolv_conf(&self) -> PathBuf {
        self.root.join("resolv.conf")
    }

    /// Where both registries keep what is pushed.
    pub fn registry(&self) -> PathBuf {
        self.root.join("registry")
    }

    /// A configuration file of a component.
    pub fn config(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// What belongs to one node.
    pub fn node(&self, node: NodeNumber) -> PathBuf {
        self.root.join(node.name())
    }

    /// The socket of a node's containerd.
    pub fn containerd_socket(&self, node: NodeNumber) -> PathBuf {
        self.node(node).join("containerd.sock")
    }
}

fn is_empty(folder: &Path) -> Result<bool> {
    let mut entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    Ok(entries.next().is_none())
}

/// Writes a file, with its path in the error.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    std::fs::write(path, contents).with_context(|| format!("cannot write {}", path.display()))
}

/// Makes a folder and those above it, with its path in the error.
///
/// # Errors
/// It cannot be made.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_too_long_for_sockets_is_refused() {
        let long = PathBuf::from(format!("/{}", "x".repeat(80)));
        assert!(
            Layout::at(long)
                .unwrap_err()
                .to_string()
                .contains("too long")
        );
        assert!(Layout::at(PathBuf::from("relative")).is_err());
    }

    #[test]
    fn the_deepest_socket_fits_the_kernels_limit() {
        let layout = Layout::at(PathBuf::from(format!("/{}", "x".repeat(59)))).unwrap();
        let node = NodeNumber::new(3).unwrap();
        let socket = layout.node(node).join("kubelet/pod-resources/kubelet.sock");
        assert!(socket.as_os_str().len() < 108);
    }

    #[test]
    fn a_folder_with_other_files_is_refused() {
        let folder = std::env::temp_dir().join(format!("shoal-layout-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("thesis.txt"), "years of work").unwrap();
        let refused = Layout::at(folder.clone()).unwrap().create();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(refused.unwrap_err().to_string().contains("other files"));
    }
}
