//! What a page of the documentation has to be copied, used as it is written there.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::person;

fn docs() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"))
}

/// The pages in a folder of `docs`, as `FOLDER/NAME.md`.
///
/// # Panics
/// There are none.
pub fn pages(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(docs().join(folder)).expect("the folder is there");
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut pages: Vec<String> = names
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    assert!(!pages.is_empty(), "{folder} has no pages");
    pages.sort();
    pages
}

/// The blocks of `docs/PAGE` that are marked `language`, in their order.
///
/// # Panics
/// There is no such page.
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = fs::read_to_string(docs().join(page)).expect("the page is there");
    let begin = format!("\n```{language}\n");
    let mut blocks = Vec::new();
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once(&begin) {
        let (block, later) = after.split_once("```").expect("a block has an end");
        blocks.push(block.to_owned());
        rest = later;
    }
    blocks
}

/// The commands of `docs/PAGE`: its blocks that are marked `sh`, in their order.
///
/// # Panics
/// There is no such page, or it has no such blocks.
pub fn commands(page: &str) -> Vec<String> {
    let commands = blocks(page, "sh");
    assert!(!commands.is_empty(), "{page} has no commands");
    commands
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
