//! Guests, pushed to the local registry.

use std::{
    collections::HashMap,
    env,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, OnceLock},
};

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::cluster;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The `shoal` that was built with the parts under test.
pub(crate) fn shoal() -> PathBuf {
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

/// Pushes these bytes as a component, whether they are one or not, under `name:tag`. `shoal push`
/// would refuse them; other tools do not look.
///
/// # Panics
/// They could not be pushed.
pub fn push_bytes(bytes: &[u8], name: &str, tag: &str) -> String {
    let repository = format!("e2e/{name}");
    let config = upload(&repository, b"{}");
    let layer = upload(&repository, bytes);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.wasm.config.v0+json", "digest": config, "size": 2,
        },
        "layers": [{"mediaType": "application/wasm", "digest": layer, "size": bytes.len()}],
    });
    let registry = cluster().registry();
    let url = format!("http://{registry}/v2/{repository}/manifests/{tag}");
    let content_type = format!("Content-Type: {MANIFEST}");
    send(
        &[
            "-X",
            "PUT",
            "-H",
            &content_type,
            "--data-binary",
            "@-",
            &url,
        ],
        manifest.to_string().as_bytes(),
    );
    format!("{registry}/{repository}:{tag}")
}

/// Uploads one blob as the OCI distribution specification has it; gives its digest.
fn upload(repository: &str, bytes: &[u8]) -> String {
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
    let url = format!(
        "http://{}/v2/{repository}/blobs/uploads/",
        cluster().registry()
    );
    let head = send(&["-X", "POST", "-D", "-", "-o", "/dev/null", &url], b"");
    let location = head
        .lines()
        .find_map(|line| line.strip_prefix("Location: "))
        .expect("the registry says where to upload to");
    let url = format!("{}&digest={digest}", location.trim());
    let octets = "Content-Type: application/octet-stream";
    send(
        &["-X", "PUT", "-H", octets, "--data-binary", "@-", &url],
        bytes,
    );
    digest
}

/// curl with `args`, and `body` on its standard input; gives what it printed.
fn send(args: &[&str], body: &[u8]) -> String {
    let mut curl = Command::new("curl")
        .args(["-sS", "-f", "-m", "60"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl starts");
    let mut stdin = curl.stdin.take().expect("its standard input is ours");
    // A curl that sends nothing closes its end first; its status tells the rest.
    let _closed_early = stdin.write_all(body);
    drop(stdin);
    let output = curl.wait_with_output().expect("curl ends");
    assert!(
        output.status.success(),
        "curl {}: {}",
        args.join(" "),
        output.status
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
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
