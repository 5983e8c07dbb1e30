//! `cargo xtask guests`: the test apps and the example.

use std::process::ExitCode;

use anyhow::Result;

use crate::step::step;
use crate::workspace;

/// Build the test guests and the example app for WebAssembly.
#[derive(clap::Args)]
pub struct Arguments {}

/// `cargo xtask guests`.
///
/// # Errors
/// There is no toolchain for WebAssembly, or a guest does not build.
pub fn run(_: &Arguments) -> Result<ExitCode> {
    build()?;
    Ok(ExitCode::SUCCESS)
}

/// Builds all that are not in the cache.
///
/// # Errors
/// As [`run`].
pub fn build() -> Result<()> {
    step("Build the guests", |step| {
        let mut compiled = false;
        let guests = shoal_guests::build_all(&workspace::root(), &mut |_| compiled = true)?;
        let state = if compiled { "built" } else { "up to date" };
        step.say(format!("{} {state}", guests.len()));
        Ok(())
    })
}
