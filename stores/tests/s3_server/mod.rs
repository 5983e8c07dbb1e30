//! A real S3 server of a test's own: Versity's gateway in front of a folder. It is built from its Go module
//! once a machine, and kept in the cache folder.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use shoal_ports::free_port;
use shoal_stores::{Blobs, Health, S3, blob::s3::S3Options};

const VERSION: &str = "1.8.0";
const MODULE: &str = "github.com/versity/versitygw/cmd/versitygw";
const BUCKET: &str = "apps";
/// How often a condition is looked at, and how many times until it is given up.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: usize = 9000;

/// See the module. Dropping it kills the server.
pub struct S3Server {
    child: Option<Child>,
    binary: PathBuf,
    pub port: u16,
    secret: String,
    /// Certificate and key, for TLS.
    tls: Option<(String, String)>,
    folder: tempfile::TempDir,
}

impl S3Server {
    /// A server with an empty bucket. `None`, and said so, where it cannot be had.
    pub async fn start() -> Option<Self> {
        let test = std::thread::current();
        Self::try_start()
            .await
            .inspect_err(|why| {
                shoal_skip::skipped(format_args!("{}: {why}", test.name().unwrap_or("a test")))
            })
            .ok()
    }

    /// As [`start`](Self::start).
    ///
    /// # Errors
    /// It cannot be had here.
    pub async fn try_start() -> Result<Self, String> {
        let mut server = Self::prepare()?;
        server.start_somewhere().await;
        Ok(server)
    }

    /// A server that speaks TLS with this certificate and key (PEM).
    pub async fn with_tls(certificate: String, key: String) -> Option<Self> {
        let mut server = Self::prepare()
            .inspect_err(|why| shoal_skip::skipped(why))
            .ok()?;
        server.tls = Some((certificate, key));
        server.start_somewhere().await;
        Some(server)
    }

    fn prepare() -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        for name in ["data/apps", "attributes", "users"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        Ok(Self {
            child: None,
            binary: binary()?,
            port: 0,
            secret: "s3cr3t-of-the-owner".to_owned(),
            tls: None,
            folder,
        })
    }

    async fn start_somewhere(&mut self) {
        self.port = free_port();
        self.start_again().await;
    }

    /// Starts it again, after [`kill`](Self::kill), where nobody knows it.
    pub async fn start_elsewhere(&mut self) {
        self.start_somewhere().await;
    }

    /// From now on a user has this key; `None`: there is no such user.
    pub fn permit(&self, user: &str, secret: Option<&str>) {
        let account = |secret: &str| {
            format!(
                r#""{user}":{{"access":"{user}","secret":"{secret}","role":"admin","userID":0,"groupID":0,"projectID":0}}"#
            )
        };
        let accounts = secret.map(account).unwrap_or_default();
        let users = format!(r#"{{"accessAccounts":{{{accounts}}}}}"#);
        let folder = self.folder.path().join("users");
        fs::write(folder.join("next"), users).unwrap();
        fs::rename(folder.join("next"), folder.join("users.json")).unwrap();
    }

    /// Starts it on its port, again after [`kill`](Self::kill).
    pub async fn start_again(&mut self) {
        assert!(
            self.spawn().await,
            "the S3 server does not start: {}",
            self.log()
        );
    }

    /// From the next start on the owner has another key.
    pub fn change_secret(&mut self) {
        self.secret = "another-s3cr3t-of-the-owner".to_owned();
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    async fn spawn(&mut self) -> bool {
        let log = File::create(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(&self.binary);
        command
            .args(["--quiet", "--keep-alive", "--access", "owner"])
            .args(["--secret", &self.secret])
            .args(["--port", &format!("127.0.0.1:{}", self.port)])
            .arg("--iam-dir")
            .arg(self.folder.path().join("users"))
            .arg("--iam-cache-disable");
        if let Some((certificate, key)) = &self.tls {
            for (flag, text) in [("--cert", certificate), ("--key", key)] {
                let file = self.folder.path().join(&flag[2..]);
                fs::write(&file, text).unwrap();
                command.arg(flag).arg(file);
            }
        }
        command
            .arg("posix")
            .arg("--sidecar")
            .arg(self.folder.path().join("attributes"))
            .arg(self.data())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        for _ in 0..LOOKS {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port))
                .await
                .is_ok()
            {
                self.child = Some(child);
                return true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        false
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The folder of its buckets.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Files in the bucket, however deep.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        walk(&self.data().join(BUCKET), &mut files);
        files
    }

    /// How its owner reaches it.
    pub fn options(&self, prefix: &str) -> S3Options {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        S3Options {
            endpoint: Some(format!("{scheme}://127.0.0.1:{}", self.port)),
            bucket: BUCKET.to_owned(),
            region: "us-east-1".to_owned(),
            access_key_id: "owner".to_owned(),
            secret_access_key: self.secret.clone(),
            ca_pem: None,
            prefix: prefix.to_owned(),
        }
    }

    /// Objects under a prefix.
    pub fn open(&self, prefix: &str) -> S3 {
        S3::new(&self.options(prefix)).unwrap()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until a class does as wanted.
pub async fn until_health(blobs: &dyn Blobs, wanted: impl Fn(&Health) -> bool) -> Health {
    for _ in 0..LOOKS {
        let health = blobs.health().await;
        if wanted(&health) {
            return health;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("the class stays at {:?}", blobs.health().await);
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => walk(&path, files),
            false => files.push(path),
        }
    }
}

/// The server's program, built if it is not there.
fn binary() -> Result<PathBuf, String> {
    let home = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .ok_or("there is no folder for a cache")?;
    let folder = home.join("shoal").join(format!("versitygw-{VERSION}"));
    let binary = folder.join("versitygw");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    // Tests of several processes may want it at once.
    let lock = File::create(folder.join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if binary.exists() {
        return Ok(binary);
    }
    eprintln!("building {MODULE} {VERSION}, which takes some minutes");
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
    fs::rename(folder.join("bin/versitygw"), &binary).map_err(|error| error.to_string())?;
    Ok(binary)
}
