use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{debian, process};

/// What guests are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Components.
    Preview2,
    /// Core modules, as SDKs made them before there were component linkers.
    Preview1,
}

impl Target {
    pub(crate) const ALL: [Self; 2] = [Self::Preview2, Self::Preview1];

    pub(crate) fn triple(self) -> &'static str {
        match self {
            Self::Preview2 => "wasm32-wasip2",
            Self::Preview1 => "wasm32-wasip1",
        }
    }
}

const CHOICE: &str = "SHOAL_GUESTS_TOOLCHAIN";

/// A Rust that compiles for WASI.
#[derive(Debug)]
pub(crate) enum Toolchain {
    /// The one on `PATH`; it has the standard library of every [`Target`].
    Installed { version: String },
    /// Debian's, which compiles the standard library itself.
    Debian(debian::Unpacked),
}

impl Toolchain {
    /// Finds one, or gets one: from rustup, else from Debian into `cache`.
    pub(crate) fn find(root: &Path, cache: &Path, progress: &mut dyn FnMut(&str)) -> Result<Self> {
        let rustc = Rustc::on_path(root)?;
        match env::var(CHOICE).as_deref() {
            Err(_) | Ok("installed") => {}
            Ok("debian") => return rustc.with_debian(cache, progress).map(Self::Debian),
            Ok(other) => bail!("{CHOICE} is `{other}`; it may be `installed` or `debian`"),
        }
        if !rustc.has_all_targets() && !rustc.add_targets(root, progress) {
            return rustc
                .with_debian(cache, progress)
                .map(Self::Debian)
                .context(
                    "the WASI targets of Rust are missing: run `rustup target add wasm32-wasip2 \
                 wasm32-wasip1` where rustup can download",
                );
        }
        Ok(Self::Installed {
            version: rustc.version,
        })
    }

    /// Changes whenever the same sources could come out differently.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Installed { version } => format!("installed\n{version}"),
            Self::Debian(unpacked) => format!("debian\n{}", unpacked.version()),
        }
    }

    /// A `cargo build --release` for this target, to be completed with what to build.
    pub(crate) fn cargo_build(&self, target: Target) -> Command {
        let mut command = match self {
            Self::Installed { .. } => clean("cargo".into()),
            Self::Debian(unpacked) => {
                let mut command = clean(unpacked.cargo().into());
                unpacked.configure(&mut command, target);
                command
            }
        };
        command.args([
            "build",
            "--release",
            "--locked",
            "--target",
            target.triple(),
        ]);
        if let Self::Debian(_) = self {
            command.arg("-Zbuild-std=std,panic_abort");
        }
        command
    }
}

/// A command without what Cargo, Clippy or the user set for building Shoal itself.
fn clean(program: OsString) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let of_a_build = [
            "CARGO_BUILD_",
            "CARGO_PKG_",
            "CARGO_PROFILE_",
            "CARGO_TARGET_",
        ];
        let single = [
            "CARGO",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_MANIFEST_DIR",
            "CLIPPY_ARGS",
        ];
        let compiler = ["RUSTC", "RUSTFLAGS", "RUSTDOC"];
        if of_a_build
            .iter()
            .chain(&compiler)
            .any(|prefix| name.starts_with(prefix))
            || single.contains(&&*name)
        {
            command.env_remove(&*name);
        }
    }
    command
}

struct Rustc {
    /// What `rustc -vV` prints.
    version: String,
    sysroot: PathBuf,
}

impl Rustc {
    fn on_path(root: &Path) -> Result<Self> {
        let ask = |arguments: &[&str]| {
            let mut command = Command::new("rustc");
            process::output(command.args(arguments).current_dir(root))
        };
        let sysroot = ask(&["--print", "sysroot"])?;
        Ok(Self {
            version: ask(&["-vV"])?,
            sysroot: sysroot.trim().into(),
        })
    }

    fn has_all_targets(&self) -> bool {
        let folder = |target: Target| self.sysroot.join("lib/rustlib").join(target.triple());
        Target::ALL
            .into_iter()
            .all(|target| fs::exists(folder(target).join("lib")).unwrap_or(false))
    }

    fn add_targets(&self, root: &Path, progress: &mut dyn FnMut(&str)) -> bool {
        progress("getting the WASI targets from rustup");
        let mut command = Command::new("rustup");
        command
            .args(["target", "add"])
            .args(Target::ALL.map(Target::triple))
            .current_dir(root);
        match process::output(&mut command) {
            Ok(_) => self.has_all_targets(),
            Err(error) => {
                progress(&format!("rustup cannot get the WASI targets: {error:#}"));
                false
            }
        }
    }

    fn with_debian(
        &self,
        cache: &Path,
        progress: &mut dyn FnMut(&str),
    ) -> Result<debian::Unpacked> {
        let host = self
            .version
            .lines()
            .find_map(|line| line.strip_prefix("host: "));
        let host = host.context("`rustc -vV` names no host")?;
        let linkers = self.sysroot.join("lib/rustlib").join(host).join("bin");
        debian::unpack(cache, linkers, progress)
    }
}
