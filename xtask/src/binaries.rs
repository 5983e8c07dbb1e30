//! Building Shoal's programs.

use std::path::PathBuf;
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};

use crate::process;
use crate::step::step;
use crate::workspace;

/// A program and the package that it is built from.
#[derive(Clone, Copy)]
pub struct Program {
    /// Cargo package.
    pub package: &'static str,
    /// File name.
    pub name: &'static str,
}

/// What is in the image.
pub const PARTS: [Program; 4] = [
    Program {
        package: "shoal-operator",
        name: "shoal-operator",
    },
    Program {
        package: "shoal-builder",
        name: "shoal-builder",
    },
    Program {
        package: "shoal-stores",
        name: "shoal-store",
    },
    Program {
        package: "shoal-runtime",
        name: "shoal-runtime",
    },
];

/// What people run on their machine.
pub const CLI: Program = Program {
    package: "shoal",
    name: "shoal",
};

impl Program {
    /// Where cargo puts it.
    pub fn path(self) -> PathBuf {
        workspace::target().join("debug").join(self.name)
    }

    /// Builds it, alone: together, the programs would get each other's features, and the runtime a
    /// compiler.
    ///
    /// # Errors
    /// It does not build; the message holds the end of cargo's output.
    pub fn build(self) -> Result<PathBuf> {
        let path = self.path();
        let before = modified(&path);
        step(&format!("Build {}", self.name), |step| {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.current_dir(workspace::root());
            cargo.args(["build", "--package", self.package, "--bin", self.name]);
            process::run(&format!("build-{}", self.name), &mut cargo)?;
            ensure!(path.is_file(), "cargo did not make {}", path.display());
            if modified(&path) == before {
                step.say("up to date");
            }
            Ok(())
        })?;
        Ok(path)
    }
}

fn modified(path: &PathBuf) -> Option<SystemTime> {
    std::fs::metadata(path)
        .and_then(|data| data.modified())
        .ok()
}

/// Builds what is in the image, and gives the files.
///
/// # Errors
/// As [`Program::build`].
pub fn parts() -> Result<Vec<PathBuf>> {
    PARTS
        .iter()
        .map(|part| {
            part.build()
                .with_context(|| format!("cannot build {}", part.name))
        })
        .collect()
}
