//! A disk that hangs, and one that has become read-only: writes fail with a plain reason, a disk that can
//! be read is read, and nothing that was acknowledged is gone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod key_value;
mod objects;
mod sql;

use std::{
    path::PathBuf,
    process::{Command, Output},
    time::{Duration, Instant},
};

use shoal_stores::{Health, Reason};

/// Where the children find a disk of their own.
const DISK: &str = "SHOAL_TEST_FAILING_DISK";

/// The disk of a child; `None`: this is no child.
pub(crate) fn disk() -> Option<PathBuf> {
    std::env::var_os(DISK).map(PathBuf::from)
}

/// Asks until it is so: the disk below that in the file may stand still too.
pub(crate) async fn again(mut is_so: impl AsyncFnMut() -> bool) {
    let given_up = Instant::now() + Duration::from_secs(180);
    while !is_so().await {
        assert!(Instant::now() < given_up, "the disk does not recover");
    }
}

/// Makes a child's disk read-only, as an error of the device does. It can be mounted read-only otherwise while
/// nobody writes only, which stores always may.
pub(crate) fn take_writes_away() {
    let disk = disk().unwrap();
    run(&["mount", "-o", "remount,abort", disk.to_str().unwrap()]);
}

/// Why a class does not serve; `None`: it does.
pub(crate) fn reason(health: &Health) -> Option<Reason> {
    match health {
        Health::Reachable => None,
        Health::Failing { reason, .. } => Some(*reason),
    }
}

pub(crate) fn run(command: &[&str]) {
    let status = Command::new(command[0]).args(&command[1..]).status();
    assert!(status.unwrap().success(), "{command:?}");
}

fn in_own_mounts(script: &str) -> std::io::Result<Output> {
    let folder = tempfile::tempdir().unwrap();
    Command::new("unshare")
        .args(["--mount", "sh", "-ec", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .env(DISK, folder.path().join("disk"))
        .current_dir(folder.path())
        .output()
}

const MADE: &str =
    "truncate -s 16M image; mkfs.ext4 -q image; mkdir disk; mount -o loop image disk";

/// Runs two tests of a module as children: the one whose disk fails, and then, on the same disk, the one for whom
/// somebody put it right.
fn on_a_failing_disk(module: &str) {
    if !in_own_mounts(MADE).is_ok_and(|output| output.status.success()) {
        shoal_skip::skipped(format_args!(
            "{module} on a failing disk: no disk in a file can be mounted here"
        ));
        return;
    }
    // However the child ends, the disk thaws.
    let script = format!(
        "{MADE}; trap 'fsfreeze --unfreeze disk 2>&- || true' EXIT
         \"$1\" --exact {module}::child_on_a_failing_disk --nocapture
         umount disk; mount -o loop image disk
         \"$1\" --exact {module}::child_on_a_disk_that_was_mended --nocapture"
    );
    let output = in_own_mounts(&script).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(
        text.contains("refused: ") && text.contains("mended"),
        "the children tested nothing: {text}"
    );
}

#[test]
fn a_failing_disk_fails_writes_of_values_plainly_and_loses_nothing() {
    on_a_failing_disk("key_value");
}

#[test]
fn a_disk_that_becomes_read_only_fails_writes_of_objects_plainly_and_loses_nothing() {
    on_a_failing_disk("objects");
}

#[test]
fn a_disk_that_becomes_read_only_fails_statements_plainly_and_loses_nothing() {
    on_a_failing_disk("sql");
}
