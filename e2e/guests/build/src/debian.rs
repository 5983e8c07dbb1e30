//! Debian's Rust and wasi-libc, unpacked into the cache. Nothing is installed and the machine's
//! package sources stay as they are, so no root is needed and `cargo` on `PATH` stays what it is.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::toolchain::Target;

const RELEASE: &str = "bookworm";
const SOURCES: &str = "\
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian-security bookworm-security main
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie-backports main
";
const RUST: [&str; 4] = [
    "rustc-web",
    "cargo-web",
    "rust-web-src",
    "libstd-rust-web-dev",
];
/// Debian 12's own knows nothing of preview 2; apt would prefer it to a backport.
const LIBC: &str = "wasi-libc/trixie-backports";
const VERSION: &str = "version";

/// The unpacked toolchain.
#[derive(Debug)]
pub(crate) struct Unpacked {
    folder: PathBuf,
    /// The folder of `wasm-component-ld` and `rust-lld`, which Debian has not.
    linkers: PathBuf,
    version: String,
}

/// Unpacks the toolchain into `cache` unless it is there; `linkers` is where the Rust on `PATH`
/// keeps its linkers.
pub(crate) fn unpack(
    cache: &Path,
    linkers: PathBuf,
    progress: &mut dyn FnMut(&str),
) -> Result<Unpacked> {
    for linker in ["wasm-component-ld", "rust-lld", "gcc-ld/wasm-ld"] {
        if !linkers.join(linker).is_file() {
            bail!(
                "{} is missing: install Rust with rustup",
                linkers.join(linker).display()
            );
        }
    }
    let folder = cache.join(format!("debian-{RELEASE}-rust"));
    if !folder.is_dir() {
        require_release()?;
        let partial = folder.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial)
                .with_context(|| format!("cannot remove {}", partial.display()))?;
        }
        download(&partial, progress).context("cannot get Rust for WASI from Debian")?;
        fs::rename(&partial, &folder)
            .with_context(|| format!("cannot write {}", folder.display()))?;
    }
    let version = fs::read_to_string(folder.join(VERSION))
        .with_context(|| format!("{} is damaged: remove it", folder.display()))?;
    Ok(Unpacked {
        folder,
        linkers,
        version,
    })
}

fn require_release() -> Result<()> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if !release.contains(&format!("VERSION_CODENAME={RELEASE}\n")) {
        bail!("this machine is no Debian 12, whose Rust could be used instead of rustup's");
    }
    Ok(())
}

fn download(into: &Path, progress: &mut dyn FnMut(&str)) -> Result<()> {
    let apt = Apt::new(&into.join("apt"))?;
    progress("getting Debian's package lists");
    process::output(apt.get().arg("update"))?;
    let packages = apt.packages()?;
    progress(&format!(
        "getting {} packages of Debian's Rust",
        packages.len()
    ));
    process::output(apt.get().arg("download").args(&packages))?;
    let mut version = String::new();
    for package in sorted(&apt.folder.join("packages"))? {
        progress(&format!("unpacking {}", name(&package)));
        process::output(Command::new("dpkg-deb").arg("-x").arg(&package).arg(into))?;
        version.push_str(&name(&package));
        version.push('\n');
    }
    drop_compiler_sources(into);
    fs::remove_dir_all(&apt.folder).context("cannot remove the package lists")?;
    fs::write(into.join(VERSION), version).context("cannot write the list of packages")
}

/// Of Rust's sources only the standard library is compiled here.
fn drop_compiler_sources(into: &Path) {
    for release in sorted(&into.join("usr/src")).unwrap_or_default() {
        for sources in ["compiler", "src"] {
            let _ = fs::remove_dir_all(release.join(sources));
        }
    }
}

/// `apt-get` with sources, lists and cache of its own.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new(folder: &Path) -> Result<Self> {
        for sub in ["lists/partial", "archives/partial", "packages"] {
            fs::create_dir_all(folder.join(sub))
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        fs::write(folder.join("sources.list"), SOURCES).context("cannot write sources.list")?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    fn get(&self) -> Command {
        let mut command = Command::new("apt-get");
        let option = |name: &str, path: &Path| format!("{name}={}", path.display());
        for value in [
            option("Dir::Etc::sourcelist", &self.folder.join("sources.list")),
            option("Dir::Etc::sourceparts", Path::new("/dev/null")),
            option("Dir::State::lists", &self.folder.join("lists")),
            option("Dir::Cache", &self.folder),
            option("Dir::Cache::archives", &self.folder.join("archives")),
            // The download user of apt may not enter a home folder.
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.args(["-o", &value]);
        }
        command
            .env("LC_ALL", "C")
            .current_dir(self.folder.join("packages"));
        command
    }

    /// What the toolchain needs and the machine lacks; the toolchain itself in any case.
    fn packages(&self) -> Result<Vec<String>> {
        let mut simulated = self.get();
        simulated
            .args(["install", "--simulate", "--no-install-recommends"])
            .args(RUST);
        let plan = process::output(&mut simulated)?;
        let mut packages: Vec<String> = planned(&plan).map(str::to_owned).collect();
        packages.extend(RUST.iter().chain([&LIBC]).map(|&name| name.to_owned()));
        packages.sort();
        packages.dedup();
        Ok(packages)
    }
}

/// The names of packages that a simulated `apt-get install` would install.
fn planned(plan: &str) -> impl Iterator<Item = &str> {
    plan.lines()
        .filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next())
}

impl Unpacked {
    /// Names and versions of the packages.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn cargo(&self) -> PathBuf {
        self.folder.join("usr/bin/cargo")
    }

    /// Lets a command of [`Self::cargo`] find its compiler, its libraries and the linkers.
    pub(crate) fn configure(&self, command: &mut Command, target: Target) {
        let (libc, linker) = match target {
            Target::Preview2 => ("wasm32-wasip2", "wasm-component-ld"),
            Target::Preview1 => ("wasm32-wasi", "rust-lld"),
        };
        let libc = self.folder.join("usr/lib").join(libc);
        let linker = self.linkers.join(linker);
        let mut linker_flag = OsString::from("linker=");
        linker_flag.push(linker);
        let flags = [
            OsStr::new("-L"),
            libc.as_ref(),
            OsStr::new("-C"),
            &linker_flag,
        ];
        let wasm_ld = self.linkers.join("gcc-ld");
        command
            // Compiling the standard library is an unstable feature of Cargo.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", self.folder.join("usr/bin/rustc"))
            .env("LD_LIBRARY_PATH", self.libraries())
            .env("PATH", prepend(&wasm_ld, env::var_os("PATH")))
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join(OsStr::new("\x1f")));
    }

    /// Debian's folder of shared libraries, whatever the machine's architecture calls it.
    fn libraries(&self) -> PathBuf {
        let folders = sorted(&self.folder.join("usr/lib")).unwrap_or_default();
        folders
            .into_iter()
            .find(|folder| name(folder).ends_with("-linux-gnu"))
            .unwrap_or_default()
    }
}

fn prepend(folder: &Path, path: Option<OsString>) -> OsString {
    match path {
        Some(path) => [folder.as_os_str(), &path].join(OsStr::new(":")),
        None => folder.into(),
    }
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let context = || format!("cannot read {}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(context)? {
        paths.push(entry.with_context(context)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_of_apt_is_read() {
        let plan = "Reading package lists...\nInst libgit2-1.5 (1.5.1 Debian:12 [amd64])\n\
                    Inst rustc-web (1.96 [amd64])\nConf rustc-web (1.96 [amd64])\n";
        assert_eq!(
            planned(plan).collect::<Vec<_>>(),
            ["libgit2-1.5", "rustc-web"]
        );
    }

    #[test]
    fn without_linkers_the_error_says_which() {
        let cache = tempfile::tempdir().unwrap();
        let error = unpack(cache.path(), "/nowhere".into(), &mut |_| {})
            .unwrap_err()
            .to_string();
        assert!(error.contains("/nowhere/wasm-component-ld"), "{error}");
    }
}
