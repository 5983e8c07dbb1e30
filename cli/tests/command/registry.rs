//! A registry of the test's own.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// User of a registry that asks for credentials.
pub const USER: &str = "user";
/// Password of that user.
pub const PASSWORD: &str = "pull-secret";
/// bcrypt of [`PASSWORD`].
const HASH: &str = "$2b$05$abcdefghijklmnopqrstuuiuhH7Ikupt0NZBlrLOsxuBkm7D98a7C";

/// `docker-registry`; it ends with this value.
pub struct Registry {
    child: Child,
    /// `127.0.0.1:PORT`
    pub address: String,
    _folder: tempfile::TempDir,
}

impl Registry {
    /// Starts one on a free port; `private` ones ask for [`USER`] and [`PASSWORD`].
    ///
    /// `None`, and a line that says so, where the machine has none.
    pub fn start(private: bool) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("127.0.0.1:{}", shoal_ports::free_port());
        let path = |name: &str| folder.path().join(name).display().to_string();
        let auth = if private {
            std::fs::write(path("users"), format!("{USER}:{HASH}\n")).unwrap();
            format!(
                "auth: {{htpasswd: {{realm: test, path: '{}'}}}}\n",
                path("users")
            )
        } else {
            String::new()
        };
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: '{}'}}}}\n\
             http: {{addr: '{address}'}}\n{auth}",
            path("data")
        );
        std::fs::write(path("config.yml"), config).unwrap();
        let started = Command::new("docker-registry")
            .args(["serve", &path("config.yml")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = started else {
            shoal_skip::skipped("there is no docker-registry on this machine");
            return None;
        };
        let registry = Self {
            child,
            address,
            _folder: folder,
        };
        crate::until("the registry listens", || {
            TcpStream::connect(&registry.address).ok()
        });
        Some(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
