//! `cargo xtask test`: everything that says whether Shoal is in order.

mod checks;
mod deny;
mod harness;
mod installation;
mod servers;
mod suites;
mod totals;
mod whole_cluster;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use crate::step::{judged, seconds};
pub use totals::Totals;

/// Run all checks and tests: formatting, lints, licences, docs, generated files, unit tests, and tests
/// on a real three-node cluster. Ends with `N passed, N failed, N skipped`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Leave out the tests that need a cluster.
    #[arg(long)]
    skip_cluster: bool,
    /// Run only the tests that need a cluster.
    #[arg(long, conflicts_with = "skip_cluster")]
    only_cluster: bool,
    /// Run only tests whose names contain this, and no other checks.
    filter: Option<String>,
}

/// What a stage came to.
pub enum Outcome {
    /// It ran. With failures, what to show of them.
    Ran(Totals, Option<String>),
    /// It could not run on this machine, and why.
    Skipped(String),
}

impl Outcome {
    /// A check that passed.
    const PASSED: Self = Self::Ran(Totals::PASSED, None);

    /// A check that passed or not, with what to show if not.
    fn check(passed: bool, shown: impl FnOnce() -> String) -> Self {
        if passed {
            Self::PASSED
        } else {
            Self::Ran(Totals::FAILED, Some(shown()))
        }
    }
}

/// `cargo xtask test`.
///
/// # Errors
/// None of a stage's: those are counted. Only that no stage could be run at all.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let started = Instant::now();
    let mut run = Run::default();
    let filter = arguments.filter.as_deref();
    if filter.is_none() && !arguments.only_cluster {
        for check in checks::ALL {
            run.stage(check.name, || check.run());
        }
        run.stage("Licences, bans and sources", deny::policy);
        run.stage("Security advisories", deny::advisories);
        run.stage("No compiler in the runtime", checks::no_compiler_in_runtime);
        run.stage("Generated files", checks::generated);
    }
    run.stage("Guests for the tests", checks::guests);
    if filter.is_none() && !arguments.only_cluster {
        run.stage("Tests of the example", checks::example);
    }
    if !arguments.only_cluster {
        run.stage("Servers for the tests of stores", servers::ensure);
        run.stage("Unit and property tests", || harness::workspace(filter));
        run.stage("Examples of the documentation", || {
            harness::documentation(filter)
        });
    }
    if arguments.skip_cluster {
        run.stage("Whole-cluster tests", || {
            Ok(Outcome::Skipped("asked for with --skip-cluster".into()))
        });
    } else {
        whole_cluster::stages(&mut run, filter);
    }
    run.end(started)
}

/// Stages so far.
#[derive(Default)]
struct Run {
    totals: Totals,
    skips: Vec<String>,
    failures: Vec<String>,
}

impl Run {
    /// Runs one stage; a failing one does not stop the next. Whether nothing in it failed.
    fn stage(&mut self, name: &str, work: impl FnOnce() -> Result<Outcome>) -> bool {
        let outcome = judged(
            name,
            |step| {
                let outcome = work().unwrap_or_else(|error| {
                    Outcome::Ran(Totals::FAILED, Some(format!("{error:#}")))
                });
                match &outcome {
                    Outcome::Ran(totals, _) => step.say(totals.to_string()),
                    Outcome::Skipped(reason) => step.say(format!("SKIPPED, {reason}")),
                }
                outcome
            },
            |outcome| !matches!(outcome, Outcome::Ran(totals, _) if totals.failed > 0),
        );
        let totals = match outcome {
            Outcome::Ran(totals, shown) => {
                if let Some(shown) = shown {
                    eprintln!("{shown}\n");
                }
                totals
            }
            Outcome::Skipped(reason) => {
                self.skips.push(format!("{name}: {reason}"));
                Totals::SKIPPED
            }
        };
        if totals.failed > 0 {
            self.failures.push(name.to_owned());
        }
        self.totals += totals;
        totals.failed == 0
    }

    fn end(self, started: Instant) -> Result<ExitCode> {
        eprintln!("\nall of it took {}", seconds(started.elapsed()));
        for skip in &self.skips {
            eprintln!("skipped  {skip}");
        }
        for failure in &self.failures {
            eprintln!("failed   {failure}");
        }
        println!("{}", self.totals);
        let good = self.totals.failed == 0 && self.totals.passed > 0;
        Ok(if good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
