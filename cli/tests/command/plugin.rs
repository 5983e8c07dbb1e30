//! The same program as a kubectl plugin.

use std::process::Command;

use crate::{shoal, stderr, stdout};

#[test]
fn usage_texts_show_the_name_that_it_was_called_by() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-shoal");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_shoal"), &plugin).unwrap();
    let help = Command::new(&plugin)
        .args(["apps", "--help"])
        .output()
        .unwrap();
    assert!(
        stdout(&help).contains("Usage: kubectl shoal apps"),
        "{}",
        stdout(&help)
    );
    let help = shoal().args(["apps", "--help"]).output().unwrap();
    assert!(
        stdout(&help).contains("Usage: shoal apps"),
        "{}",
        stdout(&help)
    );
}

#[test]
fn without_a_cluster_apps_says_what_is_missing() {
    let mut apps = shoal();
    apps.args(["apps", "--context", "nowhere"])
        .env("KUBECONFIG", "/nonexistent");
    let output = apps.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("kubeconfig"),
        "{}",
        stderr(&output)
    );
}
