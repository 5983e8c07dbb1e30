//! The process `shoal-store`.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, ExitStatus},
    time::Duration,
};

/// A running `shoal-store`. Dropping it kills it.
pub struct Process {
    child: Child,
    metrics: SocketAddr,
}

impl Process {
    /// Starts `program` with all its files in `folder`: `ca.crt` and `token` are to be there.
    pub fn start(
        program: &Path,
        folder: &Path,
        operator: SocketAddr,
        grpc: SocketAddr,
        metrics: SocketAddr,
        more: &[&str],
    ) -> Self {
        let file = |name: &str| folder.join(name).into_os_string();
        let child = Command::new(program)
            .arg("--data-dir")
            .arg(file("data"))
            .arg("--ca-file")
            .arg(file("ca.crt"))
            .arg("--token-file")
            .arg(file("token"))
            .arg("--identity-dir")
            .arg(file("identity"))
            .args(["--operator", &operator.to_string()])
            .args(["--listen-address", &grpc.to_string()])
            .args(["--metrics-address", &metrics.to_string()])
            .args(["--log", "json"])
            .args(more)
            .spawn()
            .unwrap();
        Self { child, metrics }
    }

    /// Status and body of a GET, or nothing while it does not answer.
    pub fn get(&self, path: &str) -> Option<(String, String)> {
        let mut stream = TcpStream::connect(self.metrics).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(180)))
            .ok()?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.to_owned(), body.to_owned()))
    }

    pub fn is_ready(&self) -> bool {
        self.get("/readyz")
            .is_some_and(|(status, _)| status == "200")
    }

    /// How it ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends a signal, and waits until the process has ended.
    pub fn end(&mut self, signal: &str) -> ExitStatus {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of the loopback that is nobody else's.
pub fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, shoal_ports::free_port()).into()
}
