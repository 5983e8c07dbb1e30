//! Tests that cargo builds and runs.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::suites::{self, Suite};
use super::{Outcome, Totals, totals::skips};
use crate::cargo::cargo;
use crate::process;

/// Lines that are shown of failing tests.
const SHOWN: usize = 200;

/// Unit and property tests of all crates.
///
/// # Errors
/// Cargo, or a program with tests, cannot be started.
pub fn workspace(filter: Option<&str>) -> Result<Outcome> {
    let log = process::log_file("test-unit")?;
    let suites = Suite::build("test-build", test().arg("--workspace"))?;
    let said = suites::run(&suites, filter)?;
    std::fs::write(&log, &said).with_context(|| format!("cannot write {}", log.display()))?;
    Ok(outcome(&said, true, &log))
}

/// The examples in the documentation of all crates.
///
/// # Errors
/// Cargo cannot be started.
pub fn documentation(filter: Option<&str>) -> Result<Outcome> {
    let mut cargo = test();
    cargo.args(["--workspace", "--doc", "--no-fail-fast"]);
    cargo.args(filter);
    run("test-doc", &mut cargo)
}

/// `cargo test`, to be completed.
pub fn test() -> Command {
    let mut cargo = cargo();
    cargo.arg("test");
    cargo
}

/// Runs `cargo` and counts what its harnesses say.
///
/// # Errors
/// Cargo cannot be started, or its log cannot be read.
pub fn run(name: &str, cargo: &mut Command) -> Result<Outcome> {
    let log = process::log_file(name)?;
    let succeeded = process::run_to(&log, cargo)?;
    let output = std::fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let output = String::from_utf8_lossy(&output);
    Ok(outcome(&output, succeeded, &log))
}

/// What harnesses said in `output`, which is in `log`.
fn outcome(output: &str, succeeded: bool, log: &Path) -> Outcome {
    let mut totals = Totals::of_harness(output);
    for skip in skips(output) {
        eprintln!("skipped  {skip}");
    }
    let broken = !succeeded || output.lines().any(|line| line == suites::FAILED);
    if totals.failed == 0 && broken {
        // It did not compile, or a test ended its process: no harness line says so.
        totals += Totals::FAILED;
    }
    let shown =
        (totals.failed > 0).then(|| format!("{}\nall of it: {}", failures(output), log.display()));
    Outcome::Ran(totals, shown)
}

/// What the harnesses printed of failing tests; the end of the output if there is none such.
fn failures(output: &str) -> String {
    let mut shown = Vec::new();
    let mut within = false;
    for line in output.lines() {
        // A harness writes `failures:` twice: before what the tests printed, and before their names.
        within = within && !line.starts_with("test result: ");
        within = within || line == "failures:";
        if within || line.starts_with("error") {
            shown.push(line);
        }
    }
    if shown.is_empty() {
        shown = output.lines().collect();
    }
    let start = shown.len().saturating_sub(SHOWN);
    shown.get(start..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_failing_tests_printed_is_shown() {
        let output = "   Compiling x\nrunning 2 tests\ntest a ... ok\ntest b ... FAILED\n\nfailures:\n\n\
                      ---- b stdout ----\nassertion failed\n\nfailures:\n    b\n\n\
                      test result: FAILED. 1 passed; 1 failed\nrunning 0 tests\n\
                      error: test failed, to rerun pass `-p x`\n";
        let shown = failures(output);
        assert!(shown.contains("assertion failed") && shown.contains("rerun pass"));
        assert!(!shown.contains("Compiling") && !shown.contains("running 0"));
    }

    #[test]
    fn a_program_that_ended_without_a_result_failed() {
        let said = |end: &str| format!("test result: ok. 2 passed; 0 failed; 0 ignored\n{end}\n");
        let totals = |output: &str| match outcome(output, true, Path::new("log")) {
            Outcome::Ran(totals, _) => totals.to_string(),
            Outcome::Skipped(_) => String::new(),
        };
        assert_eq!(totals(&said("")), "2 passed, 0 failed, 0 skipped");
        assert_eq!(
            totals(&said(suites::FAILED)),
            "2 passed, 1 failed, 0 skipped"
        );
    }

    #[test]
    fn without_harness_output_the_end_is_shown() {
        assert_eq!(failures("one\ntwo"), "one\ntwo");
    }
}
