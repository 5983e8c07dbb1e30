//! `cargo xtask crds`: what is written from the types in `crds/`.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::cargo::cargo;
use crate::step::step;
use crate::{process, workspace};

/// Write what comes from the types in crds/: manifests/crds.yaml and docs/reference/conditions.md.
#[derive(clap::Args)]
pub struct Arguments {}

/// A file that an example of the crate that has the types prints. This program stays light without them.
#[derive(Clone, Copy)]
pub struct Generated {
    example: &'static str,
    path: &'static str,
}

/// Every such file.
pub const ALL: [Generated; 2] = [
    Generated {
        example: "crds",
        path: "manifests/crds.yaml",
    },
    Generated {
        example: "conditions",
        path: "docs/reference/conditions.md",
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
        // As part of the workspace: by itself it would have other features, and all that it needs be
        // compiled once more than for the tests.
        let mut cargo = cargo();
        cargo.args(["build", "--quiet", "--workspace", "--example", self.example]);
        process::output(&mut cargo, None)?;
        let examples = workspace::target().join("debug/examples");
        process::output(&mut Command::new(examples.join(self.example)), None)
    }
}
