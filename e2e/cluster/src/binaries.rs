//! The programs of the cluster that no Debian package has: built once a machine, then cached.
//!
//! The cache is `~/.cache/shoal` (or `$XDG_CACHE_HOME/shoal`), outside every build folder. A
//! folder in it is named by what it is built from, made under another name and then renamed, so
//! that a folder that is there is whole.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::command;
use crate::layout::{make_folder, write};
use crate::progress::{Progress, step};

/// The version of Kubernetes, as `go.mod` beside the sources has it too.
pub const KUBERNETES: &str = "1.35.4";
/// The version of CoreDNS.
pub const COREDNS: &str = "1.12.4";

/// The programs that are links to the one binary of all Kubernetes components.
const COMPONENTS: [&str; 7] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
];

/// The Go module of that binary. It is compiled in, so that a build of this library alone has
/// all it needs.
const SOURCES: [(&str, &str); 3] = [
    ("go.mod", include_str!("../kube/go.mod")),
    ("go.sum", include_str!("../kube/go.sum")),
    ("main.go", include_str!("../kube/main.go")),
];
const PAUSE: &str = include_str!("pause.c");

/// The oldest Go that builds this Kubernetes.
const GO: (u32, u32) = (1, 25);
/// A folder with prebuilt components, as other Kubernetes test tools know it.
const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// Where the programs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    kubernetes: PathBuf,
    coredns: PathBuf,
    pause: PathBuf,
}

impl Binaries {
    /// The programs, built if the cache has none of them: about 11 minutes on two cores for
    /// all, once a machine.
    ///
    /// # Errors
    /// Something has to be built, and there is no Go or no C compiler, or the build fails.
    pub fn ensure(progress: &dyn Progress) -> Result<Self> {
        let found = Self::locate()?;
        if found.missing().is_empty() {
            return Ok(found);
        }
        let _lock = lock(&cache()?)?;
        if !found.kubernetes.is_dir() {
            step(
                progress,
                &format!("Building Kubernetes {KUBERNETES} (once a machine, about 8 minutes)"),
                || fill(&found.kubernetes, build_kubernetes),
            )?;
        }
        if !found.coredns.is_dir() {
            step(
                progress,
                &format!("Building CoreDNS {COREDNS} (once a machine, about 3 minutes)"),
                || fill(&found.coredns, build_coredns),
            )?;
        }
        if !found.pause.is_dir() {
            fill(&found.pause, build_pause)?;
        }
        Ok(found)
    }

    /// Whether [`Binaries::ensure`] can succeed: everything is cached, or can be built.
    ///
    /// # Errors
    /// It cannot; says what is missing.
    pub fn can_be_had() -> Result<()> {
        if Self::locate()?
            .missing()
            .iter()
            .all(|folder| folder.ends_with(pause_folder()))
        {
            return Ok(());
        }
        check_go()
    }

    /// The program of a Kubernetes component, such as `kubelet`, or `kubectl`.
    pub fn kubernetes(&self, component: &str) -> PathBuf {
        self.kubernetes.join(component)
    }

    /// The folder that has `kubectl` and the components in it: for PATH.
    pub fn folder(&self) -> &Path {
        &self.kubernetes
    }

    /// CoreDNS.
    pub fn coredns(&self) -> PathBuf {
        self.coredns.join("coredns")
    }

    /// The static program of the pause image.
    pub fn pause(&self) -> PathBuf {
        self.pause.join("pause")
    }

    /// What identifies these programs: others, another cluster.
    pub fn recipe(&self) -> String {
        [&self.kubernetes, &self.coredns, &self.pause]
            .map(|folder| folder.display().to_string())
            .join(" ")
    }

    fn locate() -> Result<Self> {
        let cache = cache()?;
        let sources = SOURCES.map(|(_, text)| text);
        Ok(Self {
            kubernetes: prebuilt()
                .unwrap_or_else(|| cache.join(format!("kube-{KUBERNETES}-{}", hash(&sources)))),
            coredns: cache.join(format!("coredns-{COREDNS}")),
            pause: cache.join(pause_folder()),
        })
    }

    fn missing(&self) -> Vec<&Path> {
        let all = [&self.kubernetes, &self.coredns, &self.pause];
        all.into_iter()
            .filter(|folder| !folder.is_dir())
            .map(PathBuf::as_path)
            .collect()
    }
}

/// `$KUBEBUILDER_ASSETS`, where it has every component: most have no kubelet, and a cluster
/// without nodes is of no use here.
fn prebuilt() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os(ASSETS)?);
    COMPONENTS
        .iter()
        .all(|component| folder.join(component).is_file())
        .then_some(folder)
}

/// Shoal's folder in the user's cache.
///
/// # Errors
/// Neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from) {
        Some(folder) if folder.is_absolute() => folder,
        _ => match std::env::var_os("HOME") {
            Some(home) => PathBuf::from(home).join(".cache"),
            None => bail!("neither XDG_CACHE_HOME nor HOME is set, so there is no cache folder"),
        },
    };
    Ok(base.join("shoal"))
}

fn pause_folder() -> String {
    format!("pause-{}", hash(&[PAUSE]))
}

fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part);
    }
    hex::encode(hasher.finalize()).chars().take(12).collect()
}

fn lock(cache: &Path) -> Result<File> {
    make_folder(cache)?;
    let path = cache.join("build.lock");
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    file.lock()
        .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// Builds into a folder beside `folder` and renames it when it is whole.
fn fill(folder: &Path, build: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let mut name = folder.as_os_str().to_owned();
    name.push(".building");
    let building = PathBuf::from(name);
    if building.exists() {
        std::fs::remove_dir_all(&building)
            .with_context(|| format!("cannot remove {}", building.display()))?;
    }
    make_folder(&building)?;
    build(&building)?;
    std::fs::rename(&building, folder)
        .with_context(|| format!("cannot move the build to {}", folder.display()))
}

fn build_kubernetes(folder: &Path) -> Result<()> {
    let sources = folder.join("sources");
    make_folder(&sources)?;
    for (name, text) in SOURCES {
        write(&sources.join(name), text)?;
    }
    let version = "k8s.io/component-base/version";
    let (major, minor) = KUBERNETES.split_once('.').unwrap_or((KUBERNETES, "0"));
    let minor = minor.split('.').next().unwrap_or(minor);
    let flags = format!(
        "-s -w -X {version}.gitVersion=v{KUBERNETES} -X {version}.gitMajor={major} \
         -X {version}.gitMinor={minor} -X {version}.gitTreeState=clean"
    );
    let binary = folder.join("kube");
    let mut build = go();
    build
        .args(["build", "-trimpath", "-ldflags", &flags, "-o"])
        .arg(&binary)
        .arg(".");
    command::finish(build.current_dir(&sources))?;
    for component in COMPONENTS {
        symlink("kube", folder.join(component))?;
    }
    Ok(())
}

fn build_coredns(folder: &Path) -> Result<()> {
    let package = format!("github.com/coredns/coredns@v{COREDNS}");
    let mut build = go();
    build
        .args(["install", "-trimpath", "-ldflags", "-s -w", &package])
        .env("GOBIN", folder);
    command::finish(&mut build).map(drop)
}

fn build_pause(folder: &Path) -> Result<()> {
    let source = folder.join("pause.c");
    write(&source, PAUSE)?;
    let mut compile = Command::new("gcc");
    compile
        .args(["-static", "-Os", "-s", "-o"])
        .arg(folder.join("pause"))
        .arg(&source);
    command::finish(&mut compile).map(drop)
}

fn go() -> Command {
    let mut go = Command::new("go");
    go.env("CGO_ENABLED", "0");
    go
}

fn check_go() -> Result<()> {
    let wanted = format!(
        "building Kubernetes needs Go {}.{} or newer on PATH (once; then it is cached)",
        GO.0, GO.1
    );
    let version = command::run("go", &["env", "GOVERSION"]).context(wanted.clone())?;
    match parse_go(version.trim()) {
        Some(found) if found >= GO => Ok(()),
        _ => bail!("{wanted}; found {}", version.trim()),
    }
}

/// `go1.26.1` or `go1.26rc1` as (1, 26).
fn parse_go(version: &str) -> Option<(u32, u32)> {
    let (major, rest) = version.strip_prefix("go")?.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions_are_compared_as_numbers() {
        assert_eq!(parse_go("go1.26.8"), Some((1, 26)));
        assert_eq!(parse_go("go1.9"), Some((1, 9)));
        assert_eq!(parse_go("go1.27rc1"), Some((1, 27)));
        assert!(parse_go("go1.9") < parse_go("go1.25.0"));
        assert_eq!(parse_go("devel"), None);
    }

    #[test]
    fn moving_text_from_one_source_to_another_changes_the_hash() {
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_eq!(hash(&["ab"]).len(), 12);
    }

    #[test]
    fn the_module_is_of_the_version_that_the_cache_is_named_by() {
        let module = SOURCES[0].1;
        assert!(module.contains(&format!("k8s.io/kubernetes v{KUBERNETES}")));
        for component in COMPONENTS {
            assert!(
                SOURCES[2].1.contains(&format!("\"{component}\"")),
                "{component}"
            );
        }
    }

    #[test]
    fn a_build_that_fails_leaves_no_folder_that_looks_whole() {
        let folder = std::env::temp_dir().join(format!("shoal-fill-{}", std::process::id()));
        assert!(fill(&folder, |_| bail!("no")).is_err());
        assert!(!folder.exists());
        fill(&folder, |building| write(&building.join("program"), "x")).unwrap();
        assert!(folder.join("program").is_file());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
