//! Running the commands of a page of the documentation as they are written there.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::person;

/// The commands of `docs/PAGE`: its blocks that are marked `sh`, in their order.
///
/// # Panics
/// There is no such page, or it has no such blocks.
pub fn commands(page: &str) -> Vec<String> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"));
    let text = fs::read_to_string(root.join(page)).expect("the page is there");
    let mut blocks = Vec::new();
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once("\n```sh\n") {
        let (block, later) = after.split_once("```").expect("a block has an end");
        blocks.push(block.to_owned());
        rest = later;
    }
    assert!(!blocks.is_empty(), "{page} has no commands");
    blocks
}

/// Runs commands in one shell, in `folder`, as the administrator of the cluster; gives what they printed.
///
/// # Panics
/// One of them failed.
pub fn run(commands: &[String], folder: &Path) -> String {
    let script = format!("set -euo pipefail\n{}", commands.join("\n"));
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder)
        .envs(person::environment())
        .stdin(Stdio::null())
        .output()
        .expect("bash starts");
    assert!(
        output.status.success(),
        "{script}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
