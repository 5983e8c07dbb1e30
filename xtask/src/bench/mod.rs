//! `cargo xtask bench`: how fast Shoal is, beside its peers in the same run.

mod apply;
mod density;
mod hot;
mod peer;
mod row;
mod server;
mod sizes;
mod stores;

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::workspace;
use row::Row;

/// Measure Shoal in release mode and print a table; the same as JSON in target/bench.json.
///
/// What has a peer runs in turn with it, on this machine, in this run.
#[derive(clap::Args)]
pub struct Arguments {
    /// Which part to measure (default: all).
    part: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Requests per second of one app, beside `wasmtime serve`.
    Hot,
    /// Many apps on one node: memory, idle processor time, first requests.
    Density,
    /// From an App to the first answer of its Service, on the local cluster.
    Apply,
    /// Sizes of the programs and the image.
    Sizes,
    /// Key-value operations as guests see them, beside bare clients of the same servers.
    Stores,
}

/// `cargo xtask bench`.
///
/// # Errors
/// Something does not build or does not start. That a figure misses its bar is no error.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let wanted = |part| arguments.part.is_none_or(|one| one == part);
    let mut rows: Vec<Row> = Vec::new();
    if wanted(Part::Hot) {
        rows.extend(hot::measure()?);
    }
    if wanted(Part::Density) {
        rows.extend(density::measure()?);
    }
    if wanted(Part::Apply) {
        rows.extend(apply::measure()?);
    }
    if wanted(Part::Sizes) {
        rows.extend(sizes::measure()?);
    }
    if wanted(Part::Stores) {
        rows.extend(stores::measure()?);
    }
    println!("{}", row::table(&rows));
    let file = workspace::target().join("bench.json");
    std::fs::write(&file, row::json(&rows).to_string())
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(ExitCode::SUCCESS)
}
