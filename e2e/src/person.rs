//! People with `kubectl shoal`, and rights of their own.

use std::{
    env, fs,
    io::Write as _,
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Namespace, Outcome, cluster, image, kubectl};

/// A folder with the plugin, under the name by which kubectl finds it.
fn plugin() -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let shoal = fs::canonicalize(image::shoal()).expect("shoal was built");
        symlink(shoal, folder.path().join("kubectl-shoal")).expect("a link can be made");
        folder
    });
    folder.path().to_owned()
}

/// The administrator's environment.
pub(crate) fn environment() -> Vec<(&'static str, String)> {
    let path = env::var("PATH").unwrap_or_default();
    // kubectl of the cluster's own version comes first.
    let kubectl = PathBuf::from(cluster().kubectl().get_program());
    let folder = kubectl.parent().unwrap_or(&kubectl);
    let path = format!("{}:{}:{path}", plugin().display(), folder.display());
    vec![
        ("PATH", path),
        ("KUBECONFIG", cluster().kubeconfig().display().to_string()),
    ]
}

/// `kubectl shoal ARGS` as the administrator, with `input` on its standard input.
pub fn shoal(args: &[&str], input: &str) -> Outcome {
    run(args, input, environment())
}

fn run(args: &[&str], input: &str, environment: Vec<(&'static str, String)>) -> Outcome {
    let mut child = Command::new("/usr/bin/env")
        .args(["kubectl", "shoal"])
        .args(args)
        .envs(environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl starts");
    let mut stdin = child.stdin.take().expect("its standard input is ours");
    let text = input.to_owned();
    // Beside it: it may print before it has read everything.
    let writer = std::thread::spawn(move || {
        let _closed_early = stdin.write_all(text.as_bytes());
    });
    let output = child.wait_with_output().expect("kubectl ends");
    writer.join().expect("the input was written");
    Outcome {
        ok: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Somebody who may do nothing at first: a service account with a kubeconfig of its own.
#[derive(Debug)]
pub struct Person {
    namespace: String,
    name: String,
    folder: TempDir,
}

impl Person {
    /// Somebody of this namespace.
    ///
    /// # Panics
    /// The API server refused it.
    pub fn new(namespace: &Namespace, name: &str) -> Self {
        let namespace = namespace.name();
        kubectl(&["-n", namespace, "create", "serviceaccount", name]);
        let token = kubectl(&["-n", namespace, "create", "token", name]);
        let config = kubectl(&["config", "view", "--raw", "-o", "json"]);
        let mut config: Value = serde_json::from_str(&config).expect("kubectl prints JSON");
        for user in config["users"].as_array_mut().into_iter().flatten() {
            user["user"] = serde_json::json!({"token": token.trim()});
        }
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let file = folder.path().join("kubeconfig");
        fs::write(file, config.to_string()).expect("a file can be written");
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            folder,
        }
    }

    /// The name that the API server knows it by.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    /// Gives it a ClusterRole in its namespace.
    ///
    /// # Panics
    /// The API server refused it.
    pub fn may(&self, role: &str) {
        let name = format!("{}-{role}", self.name);
        let role = format!("--clusterrole={role}");
        let account = format!("--serviceaccount={}:{}", self.namespace, self.name);
        kubectl(&[
            "-n",
            &self.namespace,
            "create",
            "rolebinding",
            &name,
            &role,
            &account,
        ]);
    }

    /// `kubectl shoal ARGS`, with `input` on its standard input.
    pub fn shoal(&self, args: &[&str], input: &str) -> Outcome {
        let mut environment = environment();
        environment.retain(|(name, _)| *name != "KUBECONFIG");
        let config = self.folder.path().join("kubeconfig");
        environment.push(("KUBECONFIG", config.display().to_string()));
        run(args, input, environment)
    }
}
