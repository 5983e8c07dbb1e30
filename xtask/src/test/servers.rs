//! The servers that tests of stores and of the builder start for themselves: databases, and a registry.

use std::fs;

use anyhow::Result;
use shoal_cluster::packages::{self, Tool};
use shoal_cluster::progress::Terminal;

use super::Outcome;

const REDIS: Tool = Tool {
    program: "redis-server",
    package: "redis-server",
};
const PGBOUNCER: Tool = Tool {
    program: "/usr/sbin/pgbouncer",
    package: "pgbouncer",
};
const REGISTRY: Tool = Tool {
    program: "docker-registry",
    package: "docker-registry",
};
/// Debian keeps the servers of every version in a folder of their own, so that none is on the `PATH`.
const POSTGRES: &str = "/usr/lib/postgresql";
const POSTGRES_PACKAGE: &str = "postgresql";

/// Installs what is missing where that is possible. Where it is not, the tests that need it say that
/// they are skipped, and so does this.
///
/// # Errors
/// An installation that was possible failed.
pub fn ensure() -> Result<Outcome> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(Outcome::PASSED);
    }
    if !packages::can_install() {
        let names: Vec<_> = missing.iter().map(|tool| tool.package).collect();
        return Ok(Outcome::Skipped(format!(
            "the tests with {0} will be: as root: apt-get install {1}",
            names.join(", "),
            names.join(" ")
        )));
    }
    packages::ensure(&missing, &Terminal::default())?;
    Ok(Outcome::PASSED)
}

fn missing() -> Vec<Tool> {
    let mut missing = packages::missing(&[REDIS, PGBOUNCER, REGISTRY]);
    if !has_postgres() {
        missing.push(Tool {
            // Of no one path: what is looked for is never there, so that the package is installed.
            program: "/usr/lib/postgresql/*/bin/initdb",
            package: POSTGRES_PACKAGE,
        });
    }
    missing
}

fn has_postgres() -> bool {
    let versions = fs::read_dir(POSTGRES).into_iter().flatten().flatten();
    versions
        .map(|version| version.path().join("bin/initdb"))
        .any(|initdb| initdb.exists())
}
