//! `cargo xtask crds`: `manifests/crds.yaml` from the types.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::step::step;
use crate::{process, workspace};

/// Write manifests/crds.yaml from the types in crds/.
#[derive(clap::Args)]
pub struct Arguments {}

/// `cargo xtask crds`.
///
/// # Errors
/// The generator does not build, or the file cannot be written.
pub fn run(_: &Arguments) -> Result<ExitCode> {
    step("Write manifests/crds.yaml", |step| {
        let fresh = generate()?;
        if std::fs::read_to_string(file()).is_ok_and(|committed| committed == fresh) {
            step.say("unchanged");
            return Ok(());
        }
        std::fs::write(file(), fresh).with_context(|| format!("cannot write {}", file().display()))
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The file.
pub fn file() -> PathBuf {
    workspace::root().join("manifests/crds.yaml")
}

/// What is to be in it. A program of the crate that has the types: this one stays light without them.
///
/// # Errors
/// As [`run`].
pub fn generate() -> Result<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(workspace::root());
    cargo.args([
        "run",
        "--quiet",
        "--package",
        "shoal-crds",
        "--example",
        "crds",
    ]);
    process::output(&mut cargo, None)
}
