//! `wasmtime serve`, of the version that Shoal is built with.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cargo::cargo;
use crate::step::step;
use crate::{process, workspace};

/// Wasmtime's command line, kept outside `target/`: it takes minutes to build.
///
/// # Errors
/// It does not build.
pub fn wasmtime() -> Result<PathBuf> {
    let version = version()?;
    let root = workspace::cache().join(format!("tools/wasmtime-{version}"));
    let program = root.join("bin/wasmtime");
    if process::succeeds(Command::new(&program).arg("--version")) {
        return Ok(program);
    }
    step(&format!("Build wasmtime {version}"), |_| {
        let mut cargo = cargo();
        cargo.args(["install", "wasmtime-cli", "--locked", "--force"]);
        cargo.args(["--version", &version]).arg("--root").arg(&root);
        process::run("install-wasmtime", &mut cargo)
    })?;
    Ok(program)
}

/// The version of the crate `wasmtime` in Cargo.lock.
fn version() -> Result<String> {
    let lock = workspace::root().join("Cargo.lock");
    let text = std::fs::read_to_string(&lock)
        .with_context(|| format!("cannot read {}", lock.display()))?;
    version_in(&text).context("Cargo.lock has no wasmtime")
}

fn version_in(lock: &str) -> Option<String> {
    let (_, after) = lock.split_once("name = \"wasmtime\"\nversion = \"")?;
    after.split_once('"').map(|(version, _)| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_crate_itself() {
        let lock = "[[package]]\nname = \"wasmtime-environ\"\nversion = \"1.0.0\"\n\n\
                    [[package]]\nname = \"wasmtime\"\nversion = \"48.0.8\"\n";
        assert_eq!(version_in(lock).as_deref(), Some("48.0.8"));
    }
}
