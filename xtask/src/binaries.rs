//! Building Shoal's programs.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Result, ensure};

use crate::cargo::cargo;
use crate::process;
use crate::step::step;
use crate::workspace;

/// How programs are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Quick to compile.
    Dev,
    /// Quick to run: what is measured, and what real clusters get.
    Release,
}

impl Profile {
    /// Of a flag `--release`.
    pub fn of(release: bool) -> Self {
        if release { Self::Release } else { Self::Dev }
    }

    /// Cargo's folder of it within the target folder.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// A program and the package that it is built from.
#[derive(Clone, Copy)]
pub struct Program {
    /// Cargo package.
    pub package: &'static str,
    /// File name.
    pub name: &'static str,
}

/// Serves apps. Built by itself: together with others it would get their features, a compiler among
/// them.
pub const RUNTIME: Program = Program {
    package: "shoal-runtime",
    name: "shoal-runtime",
};

/// Everything else: built together, so that what they share is compiled once.
const OTHERS: [Program; 4] = [
    Program {
        package: "shoal-operator",
        name: "shoal-operator",
    },
    Program {
        package: "shoal-builder",
        name: "shoal-builder",
    },
    STORE,
    CLI,
];

/// Keeps the embedded stores.
const STORE: Program = Program {
    package: "shoal-stores",
    name: "shoal-store",
};

/// What people run on their machine.
pub const CLI: Program = Program {
    package: "shoal",
    name: "shoal",
};

impl Program {
    /// Where cargo puts it.
    pub fn path(self, profile: Profile) -> PathBuf {
        workspace::target().join(profile.folder()).join(self.name)
    }
}

/// Builds everything, and gives the files of what is in the image.
///
/// # Errors
/// Something does not build; the message holds the end of cargo's output.
pub fn parts(profile: Profile) -> Result<Vec<PathBuf>> {
    build(&OTHERS, profile)?;
    build(&[RUNTIME], profile)?;
    Ok(in_image().map(|program| program.path(profile)).collect())
}

/// What is in the image: all but the command line.
pub fn in_image() -> impl Iterator<Item = Program> {
    let others = OTHERS
        .into_iter()
        .filter(|program| program.name != CLI.name);
    others.chain([RUNTIME])
}

/// Builds what runs on people's machines (and with it [`OTHERS`]), and gives the file.
///
/// # Errors
/// As [`parts`].
pub fn cli(profile: Profile) -> Result<PathBuf> {
    build(&OTHERS, profile)?;
    Ok(CLI.path(profile))
}

/// Builds what keeps the embedded stores, and gives the file.
///
/// # Errors
/// As [`parts`].
pub fn store(profile: Profile) -> Result<PathBuf> {
    build(&[STORE], profile)?;
    Ok(STORE.path(profile))
}

fn build(programs: &[Program], profile: Profile) -> Result<()> {
    let names: Vec<&str> = programs.iter().map(|program| program.name).collect();
    let before: Vec<_> = programs
        .iter()
        .map(|program| modified(&program.path(profile)))
        .collect();
    step(&format!("Build {}", names.join(", ")), |step| {
        let mut cargo = cargo();
        cargo.arg("build");
        if profile == Profile::Release {
            cargo.arg("--release");
        }
        for program in programs {
            cargo.args(["--package", program.package, "--bin", program.name]);
        }
        process::run(&format!("build-{}", names.join("-")), &mut cargo)?;
        for program in programs {
            let path = program.path(profile);
            ensure!(path.is_file(), "cargo did not make {}", path.display());
        }
        let after: Vec<_> = programs
            .iter()
            .map(|program| modified(&program.path(profile)))
            .collect();
        if before == after {
            step.say("up to date");
        }
        Ok(())
    })
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path)
        .and_then(|data| data.modified())
        .ok()
}
