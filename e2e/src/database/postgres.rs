//! A Postgres with TLS and passwords.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Stdio},
};

use nix::{sys::signal::Signal, unistd::Pid};
use tempfile::TempDir;

use super::{authority, place};
use crate::{SHORT, until};

/// A server of one test; ended when dropped.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    ca: String,
    port: u16,
    child: Option<Child>,
}

/// Only over TLS, and with a password; whoever is on this machine's socket is trusted.
const ACCESS: &str = "local all postgres trust\nhostssl all all 0.0.0.0/0 scram-sha-256\n";

impl Postgres {
    /// A new one with a database `shoal` and no role but its superuser.
    ///
    /// # Panics
    /// The machine has no Postgres.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        place::give(folder.path());
        place::run(
            place::command(program("initdb"), folder.path())
                .args(["--username=postgres", "--auth=trust", "--no-sync"])
                .args(["--encoding=UTF8", "--locale=C.UTF-8", "--pgdata=data"]),
        );
        let certified = authority::certify(&place::address());
        for (name, text) in [
            ("data/server.crt", certified.certificate.as_str()),
            ("data/server.key", &certified.key),
            ("data/pg_hba.conf", ACCESS),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("the folder is writable");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
            place::give(&path);
        }
        let mut server = Self {
            folder,
            ca: certified.ca,
            port: place::free_port(),
            child: None,
        };
        server.start_again();
        server.sql("CREATE DATABASE shoal");
        server
    }

    /// Starts it after [`kill`](Self::kill), on the same port and with its data.
    pub fn start_again(&mut self) {
        let folder = self.folder.path();
        let log = fs::File::create(folder.join("log")).expect("the folder is writable");
        let mut postgres = place::command(program("postgres"), folder);
        postgres
            .args(["-D", "data", "-p", &self.port.to_string(), "-k"])
            .arg(folder)
            .arg("-c")
            .arg(format!("listen_addresses={}", place::address()))
            .args(["-c", "ssl=on", "-c", "shared_buffers=16MB"])
            .stdout(Stdio::null())
            .stderr(log);
        self.child = Some(postgres.spawn().expect("Postgres starts"));
        until("Postgres to answer", SHORT, || {
            let output = self.psql("SELECT 1").output().expect("psql starts");
            if output.status.success() {
                return Ok(());
            }
            Err(fs::read_to_string(self.folder.path().join("log")).unwrap_or_default())
        });
    }

    fn psql(&self, statement: &str) -> std::process::Command {
        let mut psql = place::command(program("psql"), self.folder.path());
        psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet"])
            .args(["-v", "ON_ERROR_STOP=1", "-U", "postgres", "-p"])
            .arg(self.port.to_string())
            .arg("-h")
            .arg(self.folder.path());
        let database = if statement.contains("DATABASE") {
            "postgres"
        } else {
            "shoal"
        };
        psql.args([if statement == "SELECT 1" {
            "postgres"
        } else {
            database
        }])
        .args(["-c", statement]);
        psql
    }

    /// Runs a statement as the superuser; gives what it printed.
    ///
    /// # Panics
    /// The statement failed.
    pub fn sql(&self, statement: &str) -> String {
        place::run(&mut self.psql(statement))
    }

    /// A role that may make its tables in the database.
    pub fn role(&self, name: &str, password: &str) {
        self.sql(&format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'"));
        self.sql(&format!("GRANT CREATE, USAGE ON SCHEMA public TO {name}"));
    }

    /// Where a role finds the database.
    pub fn url(&self, role: &str, password: &str) -> String {
        let (address, port) = (place::address(), self.port);
        format!("postgres://{role}:{password}@{address}:{port}/shoal")
    }

    /// The authority of its certificate, in PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// Kills every process of it, in the midst of whatever it does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            place::signal_all(pid(&child), Signal::SIGKILL);
            let _ended = child.wait();
        }
        // What is left of a killed server keeps the next from starting.
        let _gone = fs::remove_file(self.folder.path().join("data/postmaster.pid"));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().expect("a process has a small number"))
}

/// A program of the newest Postgres here; Debian keeps them off PATH.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("Postgres is installed");
    let newest = versions
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path))
        })
        .max();
    let (_, path) = newest.expect("a version of Postgres is installed");
    path.join("bin").join(name)
}
