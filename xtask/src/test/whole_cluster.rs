//! Tests on a real cluster of three nodes, with Shoal installed as a user would.

use std::process::Command;

use anyhow::Result;
use shoal_cluster::progress::Terminal;
use shoal_cluster::{Cluster, requirements};

use super::{Outcome, Run, harness, installation};
use crate::binaries::{self, Profile};
use crate::{example, guests, process, up};

/// This program, also where the tests before have compiled it again and its file is another.
const SELF: &str = "/proc/self/exe";
/// Context of the local cluster's kubeconfig.
const CONTEXT: &str = "shoal";

/// Installs Shoal and runs the tests; a cluster that did not run before is stopped afterwards.
pub fn stages(run: &mut Run, filter: Option<&str>) {
    const NAME: &str = "Whole-cluster tests";
    if let Err(unmet) = requirements::check() {
        run.stage(NAME, || Ok(Outcome::Skipped(unmet.to_string())));
        return;
    }
    let ran_before = Cluster::attach().is_ok();
    match prepare() {
        Ok((cluster, image)) => {
            run.stage(NAME, || tests(filter));
            if filter.is_none() {
                run.stage("cargo xtask up --context", || on_context(&cluster, &image));
                run.stage("Deleting install.yaml, and installing again", || {
                    installation::removed_and_back(&cluster, &image)
                });
            }
        }
        Err(error) => {
            run.stage(NAME, || Err(error));
        }
    }
    if !ran_before {
        // What the tests said counts; a rest that cannot be removed is told by the next start too.
        if let Err(error) = Cluster::down(&Terminal::default()) {
            eprintln!("{error:#}");
        }
    }
}

fn prepare() -> Result<(Cluster, String)> {
    guests::build()?;
    let (cluster, image) = up::for_tests(Profile::Dev)?;
    // What the stages after the tests deploy, each whether the one before it passed or not.
    example::push(&binaries::CLI.path(Profile::Dev), &cluster.registry())?;
    Ok((cluster, image))
}

fn tests(filter: Option<&str>) -> Result<Outcome> {
    let mut cargo = harness::test();
    cargo.args(["--package", "shoal-e2e", "--test", "cluster"]);
    cargo.env("SHOAL_BIN", binaries::CLI.path(Profile::Dev));
    cargo.args(filter);
    // Some tests take parts of the cluster away.
    cargo.args(["--", "--test-threads=1"]);
    harness::run("test-cluster", &mut cargo)
}

/// The way to a cluster that is not ours: the local one stands in for it.
fn on_context(cluster: &Cluster, image: &str) -> Result<Outcome> {
    let log = process::log_file("test-context")?;
    let mut xtask = Command::new(SELF);
    xtask.args([
        "up",
        "--context",
        CONTEXT,
        "--image",
        image,
        "--registry",
        &cluster.registry(),
    ]);
    xtask.env("KUBECONFIG", cluster.kubeconfig());
    let passed = process::run_to(&log, &mut xtask)?;
    Ok(Outcome::check(passed, || process::tail(&log)))
}
