//! Checks that read the sources and run nothing of them.

use anyhow::Result;

use super::{Outcome, harness};
use crate::cargo::cargo;
use crate::{crds, process, workspace};

/// One run of cargo that has to succeed.
pub struct Check {
    /// What people read.
    pub name: &'static str,
    log: &'static str,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

/// Crates that turn WebAssembly into native code.
const COMPILERS: [&str; 3] = [
    "cranelift-codegen ",
    "winch-codegen ",
    "wasmtime-internal-cranelift ",
];

/// The example is a workspace of its own.
const EXAMPLE: &str = "--manifest-path=examples/guestbook/Cargo.toml";
/// Its folder stays as a user finds it.
const EXAMPLE_TARGET: &str = "--target-dir=target/example";

/// In this order: what is quick and often wrong comes first.
pub const ALL: &[Check] = &[
    Check {
        name: "Formatting",
        log: "fmt",
        arguments: &["fmt", "--all", "--check"],
        environment: &[],
    },
    Check {
        name: "Formatting of the guests",
        log: "fmt-guests",
        arguments: &[
            "fmt",
            "--all",
            "--check",
            "--manifest-path=e2e/guests/Cargo.toml",
        ],
        environment: &[],
    },
    Check {
        name: "Formatting of the example",
        log: "fmt-example",
        arguments: &["fmt", "--check", EXAMPLE],
        environment: &[],
    },
    Check {
        name: "Cargo.lock is up to date",
        log: "lock",
        arguments: &["metadata", "--locked", "--format-version", "1", "--quiet"],
        environment: &[],
    },
    Check {
        name: "Clippy",
        log: "clippy",
        arguments: &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ],
        environment: &[],
    },
    // Alone it is built without a compiler: other features, other code.
    Check {
        name: "Clippy, the runtime by itself",
        log: "clippy-runtime",
        arguments: &[
            "clippy",
            "--package",
            "shoal-runtime",
            "--",
            "--deny",
            "warnings",
        ],
        environment: &[],
    },
    // Left out of the workspace's targets, as they are no tests for a plain `cargo test`.
    Check {
        name: "Clippy, the whole-cluster tests",
        log: "clippy-cluster",
        arguments: &[
            "clippy",
            "--package",
            "shoal-e2e",
            "--test",
            "cluster",
            "--",
            "--deny",
            "warnings",
        ],
        environment: &[],
    },
    Check {
        name: "Clippy, the example",
        log: "clippy-example",
        arguments: &[
            "clippy",
            EXAMPLE,
            EXAMPLE_TARGET,
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ],
        environment: &[],
    },
    Check {
        name: "Documentation",
        log: "doc",
        arguments: &[
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ],
        environment: &[("RUSTDOCFLAGS", "--deny warnings")],
    },
];

impl Check {
    /// Runs it.
    ///
    /// # Errors
    /// Cargo cannot be started.
    pub fn run(&self) -> Result<Outcome> {
        let log = process::log_file(&format!("test-{}", self.log))?;
        let mut cargo = cargo();
        cargo.args(self.arguments);
        cargo.envs(self.environment.iter().copied());
        let passed = process::run_to(&log, &mut cargo)?;
        Ok(Outcome::check(passed, || {
            format!("{}\nall of it: {}", process::tail(&log), log.display())
        }))
    }
}

/// The runtime runs what tenants wrote: a compiler has no business in it. Features of one package reach
/// another that is built with it, so this is easily lost.
///
/// # Errors
/// Cargo cannot say what the runtime is made of.
pub fn no_compiler_in_runtime() -> Result<Outcome> {
    let mut cargo = cargo();
    cargo.args([
        "tree",
        "--package",
        "shoal-runtime",
        "--edges",
        "normal",
        "--prefix",
        "none",
    ]);
    let tree = process::output(&mut cargo, None)?;
    let found: Vec<&str> = tree
        .lines()
        .filter(|line| COMPILERS.iter().any(|name| line.starts_with(name)))
        .collect();
    Ok(Outcome::check(found.is_empty(), || {
        format!("shoal-runtime holds {}", found.join(", "))
    }))
}

/// The example's own tests, which need no WebAssembly.
///
/// # Errors
/// Cargo cannot be started.
pub fn example() -> Result<Outcome> {
    let mut cargo = cargo();
    cargo.args(["test", EXAMPLE, EXAMPLE_TARGET]);
    harness::run("test-example", &mut cargo)
}

/// The apps that tests run, built.
///
/// # Errors
/// There is no toolchain for WebAssembly, or one does not build.
pub fn guests() -> Result<Outcome> {
    shoal_guests::build_all(&workspace::root(), &mut |_| {})?;
    Ok(Outcome::PASSED)
}

/// Files that are written by a command and committed.
///
/// # Errors
/// The generator fails.
pub fn generated() -> Result<Outcome> {
    let mut stale = Vec::new();
    for generated in crds::ALL {
        if !generated.is_up_to_date()? {
            stale.push(generated.file().display().to_string());
        }
    }
    Ok(Outcome::check(stale.is_empty(), || {
        let files = stale.join(", ");
        format!("not what `cargo xtask crds` writes, run it: {files}")
    }))
}
