//! Tells the crate which version of Wasmtime is linked: the lock file is the one place that knows.

use std::{env, fs, path::PathBuf};

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    let lock = root.join("../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    let text = fs::read_to_string(&lock).unwrap_or_default();
    match wasmtime_version(&text) {
        Some(version) => println!("cargo::rustc-env=WASMTIME_VERSION={version}"),
        None => println!("cargo::error=no package wasmtime in {}", lock.display()),
    }
}

fn wasmtime_version(lock: &str) -> Option<&str> {
    let mut lines = lock
        .lines()
        .skip_while(|line| *line != "name = \"wasmtime\"");
    lines
        .nth(1)?
        .strip_prefix("version = \"")?
        .strip_suffix('"')
}
