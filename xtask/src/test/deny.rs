//! `cargo deny`: licences, bans, sources and security advisories of what Shoal is built from.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Outcome;
use crate::cargo::cargo;
use crate::{process, workspace};

/// The version whose `deny.toml` format this repository has.
const VERSION: &str = "0.20.2";

/// Everything that needs no network.
///
/// # Errors
/// cargo-deny cannot be installed or started.
pub fn policy() -> Result<Outcome> {
    let log = process::log_file("test-deny")?;
    let passed = process::run_to(
        &log,
        deny()?.args([
            "check",
            "--hide-inclusion-graph",
            "bans",
            "licenses",
            "sources",
        ]),
    )?;
    Ok(Outcome::check(passed, || errors(&log)))
}

/// Known faults of dependencies. Their database is a git repository, which cannot be fetched everywhere.
///
/// # Errors
/// cargo-deny cannot be installed or started.
pub fn advisories() -> Result<Outcome> {
    let log = process::log_file("test-deny-fetch")?;
    if !process::run_to(&log, deny()?.args(["fetch", "db"]))? {
        let reason = std::fs::read_to_string(&log).unwrap_or_default();
        let reason = reason
            .lines()
            .find(|line| line.contains("failed"))
            .unwrap_or("")
            .trim();
        return Ok(Outcome::Skipped(format!(
            "the advisory database cannot be fetched from here {reason}"
        )));
    }
    let log = process::log_file("test-deny-advisories")?;
    let passed = process::run_to(
        &log,
        deny()?.args(["check", "--disable-fetch", "advisories"]),
    )?;
    Ok(Outcome::check(passed, || errors(&log)))
}

fn deny() -> Result<Command> {
    let mut command = Command::new(installed()?);
    command.current_dir(workspace::root());
    Ok(command)
}

/// cargo-deny, kept outside `target/`: it takes minutes to build.
fn installed() -> Result<PathBuf> {
    let root = workspace::cache().join("tools");
    let program = root.join("bin/cargo-deny");
    let found = process::output(Command::new(&program).arg("--version"), None);
    if found.is_ok_and(|version| version.trim() == format!("cargo-deny {VERSION}")) {
        return Ok(program);
    }
    let mut cargo = cargo();
    cargo.args([
        "install",
        "cargo-deny",
        "--locked",
        "--force",
        "--version",
        VERSION,
        "--root",
    ]);
    cargo.arg(&root);
    process::run("install-cargo-deny", &mut cargo).context("cannot install cargo-deny")?;
    Ok(program)
}

/// What is wrong; warnings are in the log.
fn errors(log: &std::path::Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let mut shown = String::new();
    for block in text
        .split("\n\n")
        .filter(|block| block.trim_start().starts_with("error"))
    {
        shown.push_str(block);
        shown.push('\n');
    }
    if shown.is_empty() {
        shown = process::tail(log);
    }
    format!("{shown}\nall of it: {}", log.display())
}
