//! The API server, through kubectl.

use std::{io::Write as _, process::Stdio, sync::OnceLock};

use serde_json::Value;
use shoal_cluster::Cluster;

/// The running local cluster.
///
/// # Panics
/// None runs: `cargo xtask test` starts it.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        Cluster::attach().expect("no local cluster runs here; `cargo xtask up` starts one")
    })
}

/// What a command printed, and whether it succeeded.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Exit status 0.
    pub ok: bool,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs kubectl with `args`, and `input` on its standard input.
pub fn try_kubectl(args: &[&str], input: &str) -> Outcome {
    let mut child = cluster()
        .kubectl()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl starts");
    if let Some(mut stdin) = child.stdin.take() {
        // A kubectl that reads nothing closes its end first; what it prints tells the rest.
        let _closed_early = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().expect("kubectl ends");
    Outcome {
        ok: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs kubectl and gives what it printed.
///
/// # Panics
/// It failed.
pub fn kubectl(args: &[&str]) -> String {
    let outcome = try_kubectl(args, "");
    assert!(outcome.ok, "kubectl {}: {}", args.join(" "), outcome.stderr);
    outcome.stdout
}

/// `kubectl get ARGS -o json`; `None` where there is no such object.
///
/// # Panics
/// kubectl failed for another reason, or printed no JSON.
pub fn json(args: &[&str]) -> Option<Value> {
    let outcome = try_kubectl(&[&["get", "-o", "json"], args].concat(), "");
    if !outcome.ok && outcome.stderr.contains("NotFound") {
        return None;
    }
    assert!(
        outcome.ok,
        "kubectl get {}: {}",
        args.join(" "),
        outcome.stderr
    );
    Some(serde_json::from_str(&outcome.stdout).expect("kubectl prints JSON"))
}

/// Applies a manifest.
///
/// # Panics
/// The API server refused it.
pub fn apply(manifest: &str) {
    let outcome = try_kubectl(&["apply", "-f", "-"], manifest);
    assert!(outcome.ok, "kubectl apply: {}\n{manifest}", outcome.stderr);
}

/// Deletes an object and waits until it is gone; one that is not there is no error.
///
/// # Panics
/// kubectl failed.
pub fn delete(args: &[&str]) {
    kubectl(&[&["delete", "--ignore-not-found", "--timeout=60s"], args].concat());
}
