//! Test programs side by side: most of them wait for servers and deadlines more than they compute.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::process;
use crate::step::seconds;

/// Those that take longest, begun first: alone at the end they would have the machine wait for them.
const LONGEST: [&str; 6] = ["postgres", "node", "redis", "blobs", "model", "sql"];

/// The line after what a program wrote that failed.
pub const FAILED: &str = "error: a test failed, or the program ended before its tests did";

/// One program with tests.
#[derive(Debug, PartialEq, Eq)]
pub struct Suite {
    name: String,
    program: PathBuf,
    /// Of its package: where its tests find their files, as under cargo.
    folder: PathBuf,
}

impl Suite {
    /// All that `cargo`, a `cargo test` to be completed, would run, built; what it says is in the log `name`.
    ///
    /// # Errors
    /// They do not build.
    pub fn build(name: &str, cargo: &mut Command) -> Result<Vec<Self>> {
        let log = process::log_file(name)?;
        cargo.args(["--no-run", "--message-format", "json-render-diagnostics"]);
        let Some(messages) = process::output_beside(&log, cargo)? else {
            bail!("{}\nall of it: {}", process::tail(&log), log.display());
        };
        Ok(Self::of_messages(&messages))
    }

    /// Those of cargo's messages, one JSON object a line.
    fn of_messages(messages: &str) -> Vec<Self> {
        let objects = messages
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let mut suites: Vec<Self> = objects.filter_map(|object| Self::of(&object)).collect();
        suites.sort_by_key(Self::turn);
        suites
    }

    fn of(message: &Value) -> Option<Self> {
        let is_test = message["profile"]["test"].as_bool()?;
        let manifest = Path::new(message["manifest_path"].as_str()?);
        is_test.then_some(Self {
            name: message["target"]["name"].as_str()?.to_owned(),
            program: message["executable"].as_str()?.into(),
            folder: manifest.parent()?.to_owned(),
        })
    }

    fn turn(&self) -> usize {
        let place = LONGEST.iter().position(|name| *name == self.name);
        place.unwrap_or(LONGEST.len())
    }

    /// Runs its tests whose names contain `filter`; what it wrote, with a line more if it failed.
    fn run(&self, number: usize, filter: Option<&str>) -> Result<String> {
        let log = process::log_file(&format!("suite-{number}-{}", self.name))?;
        let mut program = Command::new(&self.program);
        program.current_dir(&self.folder);
        program.env("CARGO_MANIFEST_DIR", &self.folder);
        program.args(filter);
        let began = Instant::now();
        let succeeded = process::run_to(&log, &mut program)?;
        let said = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
        let said = String::from_utf8_lossy(&said);
        let (program, took) = (self.program.display(), seconds(began.elapsed()));
        let end = if succeeded { "" } else { FAILED };
        Ok(format!("     Running {program} ({took})\n{said}{end}\n"))
    }
}

/// Runs `suites`, as many at once as there are processors; all that they wrote, one after the other.
///
/// # Errors
/// One cannot be started.
pub fn run(suites: &[Suite], filter: Option<&str>) -> Result<String> {
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    let next = Mutex::new(suites.iter().enumerate());
    let take = || next.lock().ok()?.next();
    let said = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some((number, suite)) = take() {
                    let text = suite.run(number, filter);
                    if let Ok(mut said) = said.lock() {
                        said.push(text);
                    }
                }
            });
        }
    });
    let said = said.into_inner().unwrap_or_default();
    said.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str, test: bool) -> String {
        serde_json::json!({
            "reason": "compiler-artifact",
            "manifest_path": "/shoal/stores/Cargo.toml",
            "target": {"name": name, "kind": ["test"]},
            "profile": {"test": test},
            "executable": format!("/target/{name}"),
        })
        .to_string()
    }

    #[test]
    fn all_programs_with_tests_run_and_the_longest_first() {
        let other = r#"{"reason": "build-finished", "success": true}"#;
        let lines = [
            message("limits", true),
            message("shoal-store", false),
            message("redis", true),
            other.to_owned(),
            "noise".to_owned(),
        ];
        let suites = Suite::of_messages(&lines.join("\n"));
        let names: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
        assert_eq!(names, ["redis", "limits"]);
        assert_eq!(suites[0].folder, Path::new("/shoal/stores"));
        assert_eq!(suites[0].program, Path::new("/target/redis"));
    }
}
