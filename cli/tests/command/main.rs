//! The program as people run it, with real guests and a real registry.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod bindings;
mod plugin;
#[path = "../../../stores/tests/backend/server.rs"]
#[allow(dead_code, reason = "the tests of the backends use more of it")]
mod postgres_server;
mod push;
#[path = "../../../stores/tests/redis_server/mod.rs"]
mod redis_server;
mod registry;
#[path = "../../../stores/tests/s3_server/mod.rs"]
mod s3_server;
mod served;
mod servers;
mod stores;
mod transfer;
mod up;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Longest wait for anything: a first compile on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

fn shoal() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shoal"));
    // The credentials of whoever runs the tests are none of theirs.
    command.env("DOCKER_CONFIG", "/nonexistent");
    command
}

fn guest(name: &str) -> PathBuf {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    shoal_guests::path(root, name)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Asks again until there is an answer.
fn until<T>(wanted: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "{wanted}: not within {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
