//! What apps cost a node that are there, and how soon they answer when they are not mapped.
//!
//! `cargo xtask bench density` runs it and makes a table of what it prints: one JSON object. Each app has a
//! component of its own: another digest, another file of code, mapped on its own. The node runs in a process
//! of its own, whose figures are the kernel's; this one asks and measures.
//!
//! `--apps N` (10,000), `--mapped N` (how many of them are called, 5,000), `--folder FOLDER` for code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot go on fails"
)]

mod client;
mod code;
mod node;
mod process;

use std::path::PathBuf;

use serde_json::{Value, json};

use self::{client::Times, process::NodeProcess};

/// First of the ports: below those that the system gives to clients.
pub const FIRST_PORT: u16 = 10_500;

fn main() {
    if argument("--node").is_some() {
        node::run();
        return;
    }
    let apps = number("--apps").unwrap_or(10_000);
    let mapped = number("--mapped").unwrap_or(5000).min(apps);
    let folder = argument("--folder").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder).unwrap();
    println!("{}", measure(apps, mapped, folder.path()));
}

fn measure(apps: usize, mapped: usize, folder: &std::path::Path) -> Value {
    let mut node = NodeProcess::start(folder, apps);
    let empty = node.memory();
    eprintln!("assigning {apps} apps");
    let assigned = node.tell("serve");
    eprintln!("waiting until none is mapped");
    node.tell("unmap");
    let listening = node.memory();
    let idle = node.idle_share();
    eprintln!("a request to each of {mapped}");
    let cold = client::each(mapped, 1);
    let after_cold = node.memory();
    eprintln!("and again");
    let warm = client::each(mapped, 2);
    let rest = client::rest(mapped, apps);
    let scrape = node.scrape();
    let restart = restart(node, folder, mapped);
    let per =
        |from: u64, to: u64, count: usize| to.saturating_sub(from) as f64 / count as f64 / 1024.0;
    json!({
        "apps": apps,
        "mapped": mapped,
        "serve_ms": assigned,
        "listening_kib": per(empty.anonymous, listening.anonymous, apps),
        "mapped_kib": per(listening.anonymous, after_cold.anonymous, mapped),
        "mappings": after_cold.mappings,
        "idle_share": idle,
        "cold_us": times(&cold),
        "warm_us": times(&warm),
        "errors": cold.errors + warm.errors + rest.errors,
        "scrape": scrape,
        "restart_ms": restart,
    })
}

/// The same folder again, without anybody who would give code.
fn restart(node: NodeProcess, folder: &std::path::Path, apps: usize) -> u64 {
    node.end();
    eprintln!("the next process with {apps}");
    let mut node = NodeProcess::start(folder, apps);
    let took = node.tell("serve-kept");
    node.end();
    took
}

fn times(times: &Times) -> Value {
    json!({"p50": times.part(50), "p99": times.part(99)})
}

/// What follows a flag.
pub fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

/// The number that follows a flag.
pub fn number(name: &str) -> Option<usize> {
    argument(name).map(|number| number.parse().unwrap())
}
