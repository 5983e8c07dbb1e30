//! An S3 server: Versity's gateway in front of a folder.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::place;
use crate::{SHORT, until};

const VERSION: &str = "1.8.0";
const MODULE: &str = "github.com/versity/versitygw/cmd/versitygw";
const BUCKET: &str = "apps";
const KEY: &str = "shoal";

/// A server of one test; ended when dropped.
#[derive(Debug)]
pub struct S3 {
    _folder: TempDir,
    port: u16,
    child: Child,
}

impl S3 {
    /// A new one with an empty bucket, whose only user has this secret. `None`, and said so, where its
    /// program cannot be built.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(secret: &str) -> Option<Self> {
        let program = program().inspect_err(|why| shoal_skip::skipped(why)).ok()?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["data/apps", "attributes"] {
            fs::create_dir_all(folder.path().join(name)).expect("the folder is writable");
        }
        let port = place::free_port();
        let address = format!("{}:{port}", place::address());
        let mut child = Command::new(program)
            .args(["--quiet", "--keep-alive", "--access", KEY])
            .args(["--secret", secret, "--port", &address])
            .arg("posix")
            .arg("--sidecar")
            .arg(folder.path().join("attributes"))
            .arg(folder.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the S3 server starts");
        until("the S3 server to listen", SHORT, || {
            let ended = child.try_wait().expect("a child can be waited for");
            assert_eq!(ended, None, "the S3 server ended");
            std::net::TcpStream::connect(&address).map(drop)
        });
        Some(Self {
            _folder: folder,
            port,
            child,
        })
    }

    /// Where pods find it.
    pub fn endpoint(&self) -> String {
        format!("http://{}:{}", place::address(), self.port)
    }

    /// Its bucket.
    pub fn bucket(&self) -> &'static str {
        BUCKET
    }

    /// The name of its user's key.
    pub fn key(&self) -> &'static str {
        KEY
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// The server's program, built once a machine.
fn program() -> Result<PathBuf, String> {
    let home = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .ok_or("there is no folder for a cache")?;
    let folder = home.join("shoal").join(format!("versitygw-{VERSION}"));
    let program = folder.join("versitygw");
    if program.exists() {
        return Ok(program);
    }
    let built = Command::new("go")
        .arg("install")
        .arg(format!("{MODULE}@v{VERSION}"))
        .env("CGO_ENABLED", "0")
        .env("GOBIN", folder.join("bin"))
        .output()
        .map_err(|error| format!("{MODULE} cannot be built: go: {error}"))?;
    if !built.status.success() {
        let why = String::from_utf8_lossy(&built.stderr);
        return Err(format!("{MODULE} cannot be built: {}", why.trim()));
    }
    fs::rename(folder.join("bin/versitygw"), &program).map_err(|error| error.to_string())?;
    Ok(program)
}
