//! A Redis with a user of its own.

use std::{
    fs,
    process::{Child, Stdio},
};

use nix::{sys::signal::Signal, unistd::Pid};
use tempfile::TempDir;

use super::place;
use crate::{SHORT, until};

/// A server of one test; ended when dropped.
#[derive(Debug)]
pub struct Redis {
    folder: TempDir,
    port: u16,
    child: Child,
}

impl Redis {
    /// A new, empty one whose user `shoal` has this password; nobody else gets in over the network.
    ///
    /// # Panics
    /// The machine has no Redis.
    pub fn start(password: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        place::give(folder.path());
        let port = place::free_port();
        let child = place::command("redis-server", folder.path())
            .args(["--bind", &place::address(), "--port", &port.to_string()])
            .args(["--unixsocket", "socket", "--dir", "."])
            .args([
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
                "--save",
                "",
            ])
            .args([
                "--user",
                "shoal",
                "on",
                &format!(">{password}"),
                "~*",
                "&*",
                "+@all",
            ])
            .args(["--user", "default", "off"])
            .stdout(fs::File::create(folder.path().join("log")).expect("the folder is writable"))
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let server = Self {
            folder,
            port,
            child,
        };
        until("Redis to answer", SHORT, || {
            let output = place::command("redis-cli", server.folder.path())
                .args([
                    "-s", "socket", "--user", "shoal", "--pass", password, "ping",
                ])
                .output()
                .expect("redis-cli is installed");
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if text == "PONG" { Ok(()) } else { Err(text) }
        });
        server
    }

    /// Where its user finds it.
    pub fn url(&self, password: &str) -> String {
        format!(
            "redis://shoal:{password}@{}:{}",
            place::address(),
            self.port
        )
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Ok(pid) = self.child.id().try_into() {
            place::signal_all(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ended = self.child.wait();
    }
}
