//! A Postgres in a temporary folder, on a free port of the loopback and a socket in that folder.

use std::{
    fs, io,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User, geteuid},
};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

pub use shoal_ports::free_port;

/// How often a condition is looked at, and how many times until it is given up.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: usize = 9000;

/// See the module. Dropping it ends the server at once.
pub struct Server {
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// A new, empty server.
    ///
    /// # Errors
    /// What is missing here for one.
    pub async fn start() -> Result<Self, String> {
        Self::start_with(&["fsync=off"]).await
    }

    /// A new, empty server with `settings` (`name=value`).
    pub async fn start_with(settings: &[&str]) -> Result<Self, String> {
        if bin().is_none() {
            return Err("there are no binaries of Postgres here".to_owned());
        }
        if geteuid().is_root() && owner().is_none() {
            return Err(
                "Postgres does not run as root, and there is no user `postgres`".to_owned(),
            );
        }
        let folder = tempfile::tempdir().unwrap();
        give(folder.path());
        let initdb = command("initdb", folder.path())
            .args([
                "--username=postgres",
                "--auth=trust",
                "--no-sync",
                "--encoding=UTF8",
            ])
            // No order of texts that is like that of bytes by chance.
            .args(["--locale=C.UTF-8", "--pgdata=data"])
            .output()
            .unwrap();
        assert!(
            initdb.status.success(),
            "{}",
            String::from_utf8_lossy(&initdb.stderr)
        );
        let mut server = Self {
            folder,
            port: free_port(),
            settings: settings
                .iter()
                .map(|setting| (*setting).to_owned())
                .collect(),
            child: None,
        };
        server.start_again().await;
        Ok(server)
    }

    /// Starts the server that was stopped or killed; returns when it answers.
    pub async fn start_again(&mut self) {
        for _ in 0..LOOKS {
            if self.child.is_none() {
                self.child = Some(self.spawn());
            }
            if self.try_admin().await.is_ok() {
                return;
            }
            // What is left of a killed server keeps the next from starting until it is gone.
            let ended = self
                .child
                .as_mut()
                .is_some_and(|child| child.try_wait().unwrap().is_some());
            if ended {
                self.child = None;
                assert!(
                    self.log().contains("is still in use") || self.log().contains("lock file"),
                    "Postgres did not start: {}",
                    self.log()
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("Postgres does not answer: {}", self.log());
    }

    /// Starts the server that was stopped on another port.
    pub async fn start_elsewhere(&mut self) {
        self.port = free_port();
        self.start_again().await;
    }

    fn spawn(&self) -> Child {
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let mut postgres = command("postgres", self.folder.path());
        postgres
            .args(["-D", "data", "-c", "listen_addresses=127.0.0.1"])
            .args(["-p", &self.port.to_string()])
            .arg("-k")
            .arg(self.folder.path())
            .args(["-c", "shared_buffers=16MB", "-c", "max_connections=60"])
            .args(["-c", "superuser_reserved_connections=3"]);
        for setting in &self.settings {
            postgres.args(["-c", setting]);
        }
        postgres.stderr(log).stdout(Stdio::null()).spawn().unwrap()
    }

    /// What the server logged since it last started.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The database over the loopback, as its superuser, who needs no password.
    pub fn url(&self) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable",
            self.port
        )
    }

    /// The database over the loopback as someone else.
    pub fn url_of(&self, role: &str, password: &str) -> String {
        format!(
            "postgres://{role}:{password}@127.0.0.1:{}/postgres?sslmode=disable",
            self.port
        )
    }

    /// The database over its socket.
    pub fn socket_url(&self) -> String {
        let folder = self.folder.path().display();
        format!(
            "host={folder} port={} user=postgres dbname=postgres",
            self.port
        )
    }

    /// A connection of the superuser, over the socket.
    pub async fn admin(&self) -> Client {
        self.try_admin().await.unwrap()
    }

    async fn try_admin(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.socket_url(), NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Replaces who may come in over the loopback, and how; the superuser keeps the socket.
    pub async fn set_access(&self, loopback: &str) {
        let hba = format!("local all postgres trust\n{loopback}\n");
        fs::write(self.folder.path().join("data/pg_hba.conf"), hba).unwrap();
        self.admin()
            .await
            .batch_execute("SELECT pg_reload_conf()")
            .await
            .unwrap();
    }

    /// Changes a setting of the running server, and waits until new sessions have it.
    pub async fn set(&self, name: &str, value: &str) {
        let admin = self.admin().await;
        admin
            .batch_execute(&format!("ALTER SYSTEM SET {name} = {value}"))
            .await
            .unwrap();
        admin
            .batch_execute("SELECT pg_reload_conf()")
            .await
            .unwrap();
        for _ in 0..LOOKS {
            let now = self
                .admin()
                .await
                .simple_query(&format!("SHOW {name}"))
                .await
                .unwrap();
            let now = now.iter().find_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            });
            if now.as_deref() == Some(value) {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("{name} is never {value}");
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.as_ref().unwrap().id().try_into().unwrap())
    }

    /// Ends the server as an administrator does: sessions are cut, data is written.
    pub fn stop(&mut self) {
        kill(self.pid(), Signal::SIGINT).unwrap();
        self.child.take().unwrap().wait().unwrap();
    }

    /// Kills all processes of the server, in the midst of whatever they do.
    pub fn kill(&mut self) {
        let postmaster = self.pid();
        for child in children(postmaster) {
            // It may be gone by itself.
            let _ = kill(child, Signal::SIGKILL);
        }
        kill(postmaster, Signal::SIGKILL).unwrap();
        self.child.take().unwrap().wait().unwrap();
    }

    /// Stops every process of the server in its tracks: connections stay open, nobody answers.
    pub fn freeze(&self) {
        self.signal_all(Signal::SIGSTOP);
    }

    /// Undoes `freeze`.
    pub fn thaw(&self) {
        self.signal_all(Signal::SIGCONT);
    }

    fn signal_all(&self, signal: Signal) {
        let postmaster = self.pid();
        kill(postmaster, signal).unwrap();
        for child in children(postmaster) {
            let _ = kill(child, signal);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.thaw();
            kill(self.pid(), Signal::SIGQUIT).unwrap();
            self.child.take().unwrap().wait().unwrap();
        }
    }
}

/// A program of Postgres, run in `folder` as whom it accepts.
pub fn command(program: &str, folder: &Path) -> Command {
    as_owner(Command::new(bin().unwrap().join(program)), folder)
}

/// `command`, run in `folder` as whom servers accept.
pub fn as_owner(mut command: Command, folder: &Path) -> Command {
    command
        .current_dir(folder)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null());
    if let Some(owner) = owner().filter(|_| geteuid().is_root()) {
        command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
    }
    command
}

/// Makes `path` that of whom servers run as.
pub fn give(path: &Path) {
    if let Some(owner) = owner().filter(|_| geteuid().is_root()) {
        chown(path, Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).unwrap();
    }
}

fn owner() -> Option<User> {
    User::from_name("postgres").unwrap()
}

/// Where the newest Postgres of this machine is.
fn bin() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry: io::Result<fs::DirEntry> = entry;
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            let bin = path.join("bin");
            bin.join("initdb").exists().then_some((version, bin))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}

fn children(parent: Pid) -> Vec<Pid> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name before it, in brackets, may hold anything.
            let parent_of: i32 = stat
                .rsplit_once(')')?
                .1
                .split_whitespace()
                .nth(1)?
                .parse()
                .ok()?;
            (parent_of == parent.as_raw()).then(|| Pid::from_raw(pid))
        })
        .collect()
}
