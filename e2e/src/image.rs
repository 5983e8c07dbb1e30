//! Guests, pushed to the local registry.

use std::{
    collections::HashMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock},
};

use crate::cluster;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The `shoal` that was built with the parts under test.
fn shoal() -> PathBuf {
    env::var_os("SHOAL_BIN").map_or_else(|| root().join("target/debug/shoal"), PathBuf::from)
}

/// Reference of a guest of `e2e/guests`, pushed once per run.
///
/// # Panics
/// It could not be pushed.
pub fn image(guest: &str) -> String {
    static PUSHED: OnceLock<Mutex<HashMap<String, String>>> = OnceLock::new();
    let pushed = PUSHED.get_or_init(Mutex::default);
    let mut pushed = pushed.lock().expect("no test panicked while it pushed");
    pushed
        .entry(guest.to_owned())
        .or_insert_with(|| push(&shoal_guests::path(root(), guest), guest, "1"))
        .clone()
}

/// Pushes these bytes as a component (whether they are one or not) under `name:tag`.
///
/// # Panics
/// They could not be pushed.
pub fn push_bytes(bytes: &[u8], name: &str, tag: &str) -> String {
    let folder = env::temp_dir().join(format!("shoal-e2e-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder can be made");
    let file = folder.join(format!("{name}-{tag}.wasm"));
    fs::write(&file, bytes).expect("a temporary file can be written");
    push(&file, name, tag)
}

fn push(path: &Path, name: &str, tag: &str) -> String {
    let reference = format!("{}/e2e/{name}:{tag}", cluster().registry());
    let output = Command::new(shoal())
        .arg("push")
        .args([path.as_os_str(), reference.as_ref(), "--insecure".as_ref()])
        .output()
        .expect("shoal starts");
    assert!(
        output.status.success(),
        "shoal push {} {reference}: {}",
        path.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    reference
}
