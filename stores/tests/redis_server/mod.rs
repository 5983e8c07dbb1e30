//! A real `redis-server` of a test's own: on a free port, in a folder that goes with it.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::{
    future::Future,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use redis::{AsyncConnectionConfig, Client, Value};
use shoal_stores::{Redis, RedisOptions};

pub use shoal_ports::free_port;

/// How often a condition is looked at, and how many times until it is given up.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: usize = 9000;
/// What the connections of the server's owner are called.
const OWNER: &str = "owner";

/// See the module. Dropping it kills the server.
pub struct RedisServer {
    child: Option<Child>,
    pub port: u16,
    arguments: Vec<String>,
    folder: tempfile::TempDir,
}

impl RedisServer {
    /// A server with `arguments` beside its defaults (no snapshots, no files). `None`, and said so, where
    /// there is no `redis-server`.
    pub async fn start(arguments: &[&str]) -> Option<Self> {
        let test = std::thread::current();
        Self::try_start(arguments)
            .await
            .inspect_err(|why| {
                shoal_skip::skipped(format_args!("{}: {why}", test.name().unwrap_or("a test")))
            })
            .ok()
    }

    /// As [`start`](Self::start).
    ///
    /// # Errors
    /// There is no `redis-server` here.
    pub async fn try_start(arguments: &[&str]) -> Result<Self, String> {
        let there = Command::new("redis-server").arg("--version").output();
        if !there.is_ok_and(|output| output.status.success()) {
            return Err("redis-server is not installed".to_owned());
        }
        let mut server = Self {
            child: None,
            port: 0,
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
            folder: tempfile::tempdir().unwrap(),
        };
        server.port = free_port();
        assert!(
            server.spawn().await,
            "redis-server does not start: {}",
            server.log()
        );
        Ok(server)
    }

    /// Starts it again, on its port and with its files, after [`kill`](Self::kill).
    pub async fn start_again(&mut self) {
        assert!(
            self.spawn().await,
            "redis-server does not start again: {}",
            self.log()
        );
    }

    async fn spawn(&mut self) -> bool {
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
            .arg("--logfile")
            .arg(self.folder.path().join("log"))
            .arg("--dir")
            .arg(self.folder.path())
            .arg("--unixsocket")
            .arg(self.socket())
            .args(&self.arguments);
        self.child = Some(command.stdout(Stdio::null()).spawn().unwrap());
        for _ in 0..LOOKS {
            let child = self.child.as_mut().unwrap();
            if child.try_wait().unwrap().is_some() {
                self.child = None;
                return false;
            }
            // One that wants a password, or is a replica, is up as well.
            match self.try_admin(&["PING"]).await {
                Err(error) if error.code().is_none() || error.code() == Some("LOADING") => {}
                _ => return true,
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        false
    }

    /// Ends it at once, as the loss of its machine would.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Stops it from running, until [`resume`](Self::resume); its connections stay.
    pub fn stop(&self) {
        self.signal("-STOP");
    }

    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(status.success());
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn options(&self) -> RedisOptions {
        RedisOptions {
            url: self.url(),
            ..RedisOptions::default()
        }
    }

    pub fn stores(&self) -> Redis {
        Redis::new(&self.options()).unwrap()
    }

    /// A command of the server's owner, on a connection of its own.
    pub async fn admin(&self, command: &[impl redis::ToRedisArgs]) -> Value {
        self.try_admin(command).await.unwrap()
    }

    async fn try_admin(
        &self,
        command: &[impl redis::ToRedisArgs],
    ) -> Result<Value, redis::RedisError> {
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        // Not its port: until it has that, another test's server may.
        let client = Client::open(format!("unix://{}", self.socket().display()))?;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        // Its name tells its connections from those of the backend.
        let mut name = redis::cmd("CLIENT");
        let _: Result<(), _> = name
            .arg("SETNAME")
            .arg(OWNER)
            .query_async(&mut connection)
            .await;
        let mut parts = redis::Cmd::new();
        parts.arg(command);
        parts.query_async(&mut connection).await
    }

    /// Of the connections that are open, those that are not its owner's.
    pub async fn connections(&self) -> usize {
        self.connection_ids().await.len()
    }

    /// What tells these from others, of now and later.
    pub async fn connection_ids(&self) -> Vec<String> {
        let list = self.text(&["CLIENT", "LIST"]).await;
        let others = list
            .lines()
            .filter(|line| !line.contains(&format!("name={OWNER}")));
        let ids = others.filter_map(|line| line.split(' ').next());
        ids.map(str::to_owned).collect()
    }

    /// What every key holds.
    pub async fn dump(&self) -> Vec<(String, Vec<u8>)> {
        let keys: Vec<String> = redis::from_redis_value(self.admin(&["KEYS", "*"]).await).unwrap();
        let mut dumped = Vec::new();
        for key in keys {
            let value = self.admin(&["DUMP", &key]).await;
            dumped.push((key, redis::from_redis_value(value).unwrap()));
        }
        dumped
    }

    /// Brings back what was dumped.
    pub async fn restore(&self, dumped: Vec<(String, Vec<u8>)>) {
        for (key, value) in dumped {
            self.admin(&[b"RESTORE", key.as_bytes(), b"0", &value])
                .await;
        }
    }

    /// The answer as text.
    pub async fn text(&self, command: &[&str]) -> String {
        redis::from_redis_value(self.admin(command).await).unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

/// Waits until `condition` holds.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    for _ in 0..LOOKS {
        if condition().await {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("never: {what}");
}
