//! `cargo xtask crds`: what is written from the types in `crds/`, and from `manifests/install.yaml`.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::cargo::cargo;
use crate::step::step;
use crate::{ephemeral, install, process, workspace};

/// Write what comes from the types in crds/: manifests/crds.yaml and docs/reference/conditions.md; and from
/// manifests/install.yaml: manifests/install-ephemeral.yaml.
#[derive(clap::Args)]
pub struct Arguments {}

/// A file that is written, not edited.
#[derive(Clone, Copy)]
pub struct Generated {
    source: Source,
    path: &'static str,
}

/// Where it comes from.
#[derive(Clone, Copy)]
enum Source {
    /// An example of the crate that has the types prints it. This program stays light without them.
    Example(&'static str),
    /// The installation, with other volumes.
    Installation,
}

/// Every such file.
pub const ALL: [Generated; 3] = [
    Generated {
        source: Source::Example("crds"),
        path: "manifests/crds.yaml",
    },
    Generated {
        source: Source::Example("conditions"),
        path: "docs/reference/conditions.md",
    },
    Generated {
        source: Source::Installation,
        path: "manifests/install-ephemeral.yaml",
    },
];

/// `cargo xtask crds`.
///
/// # Errors
/// The generator does not build, or a file cannot be written.
pub fn run(_: &Arguments) -> Result<ExitCode> {
    for generated in ALL {
        step(&format!("Write {}", generated.path), |step| {
            if generated.is_up_to_date()? {
                step.say("unchanged");
                return Ok(());
            }
            let file = generated.file();
            std::fs::write(&file, generated.fresh()?)
                .with_context(|| format!("cannot write {}", file.display()))
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Generated {
    /// The file.
    pub fn file(self) -> PathBuf {
        workspace::root().join(self.path)
    }

    /// Whether it holds what it is to hold.
    ///
    /// # Errors
    /// As [`run`].
    pub fn is_up_to_date(self) -> Result<bool> {
        let committed = std::fs::read_to_string(self.file()).unwrap_or_default();
        Ok(committed == self.fresh()?)
    }

    fn fresh(self) -> Result<String> {
        match self.source {
            Source::Example(name) => printed(name),
            Source::Installation => ephemeral::of(&install::manifest("install.yaml")?),
        }
    }
}

fn printed(example: &str) -> Result<String> {
    // As part of the workspace: by itself it would have other features, and all that it needs be
    // compiled once more than for the tests.
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "--workspace", "--example", example]);
    process::output(&mut cargo, None)?;
    let examples = workspace::target().join("debug/examples");
    process::output(&mut Command::new(examples.join(example)), None)
}
