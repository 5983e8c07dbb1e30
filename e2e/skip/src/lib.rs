//! How a test says that it could not run on this machine, so that it is not taken for one that passed.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

/// What such a line begins with.
pub const MARK: &str = "SKIPPED: ";

/// Says on standard error that a test, or a part of it, did not run, and why. `cargo xtask test` counts these
/// lines, and shows them. A test harness holds back what a passing test prints, but not this.
pub fn skipped(what: impl Display) {
    let line = format!("\n{MARK}{what}\n");
    // Nobody hears it then.
    let _closed = io::stderr().write_all(line.as_bytes());
}
