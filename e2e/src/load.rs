//! A client that asks without pause, each time on a fresh connection, from inside a node.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use serde::{Deserialize, Serialize};

use crate::{App, cluster, json};

/// What to ask.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Target {
    /// Where; a Service's address or a pod's.
    pub address: SocketAddr,
    /// The Host header.
    pub host: String,
    /// The path.
    pub path: String,
}

impl Target {
    /// An App's Service, by its ClusterIP.
    ///
    /// # Panics
    /// It has none.
    pub fn service(app: &App, path: &str) -> Self {
        let service = json(&["-n", app.namespace(), "service", app.name()]).expect("a Service");
        let address = service["spec"]["clusterIP"].as_str().expect("a ClusterIP");
        Self::at(app, &format!("{address}:80"), path)
    }

    /// Each ready endpoint of an App, past its Service.
    ///
    /// # Panics
    /// The App has no port.
    pub fn replicas(app: &App, path: &str) -> Vec<Self> {
        let endpoints = app.ready_endpoints().into_iter();
        let at = |(_, address): (String, String)| {
            Self::at(app, &format!("{address}:{}", app.port()), path)
        };
        endpoints.map(at).collect()
    }

    fn at(app: &App, address: &str, path: &str) -> Self {
        Self {
            address: address.parse().expect("an address"),
            host: format!("{}.{}", app.name(), app.namespace()),
            path: path.into(),
        }
    }
}

/// What came back from one target.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Report {
    /// Requests that were made.
    pub requests: u64,
    /// Of these, all that were not answered with 200: what happened, at most 20 of them.
    pub failures: Vec<String>,
    /// How many these were.
    pub failed: u64,
    /// Bodies in the order they came, each once per run of equal ones.
    pub bodies: Vec<String>,
}

/// Requests that are under way in the background until [`Load::stop`].
#[derive(Debug)]
pub struct Load {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

/// Cargo puts the binaries of a package beside the folder of its tests.
pub(crate) fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    test.ancestors()
        .nth(2)
        .expect("a test is two folders deep")
        .join(name)
}

impl Load {
    /// Starts asking every target, each in a loop of its own, from a node; returns once each has
    /// answered once. What failed before is not counted: kube-proxy follows a new Service in its
    /// own time.
    ///
    /// # Panics
    /// The client cannot be started.
    pub fn start(node: u8, targets: &[Target]) -> Self {
        let node = cluster().node(node).expect("there is such a node");
        let program = program("e2e-load");
        let mut command = node.command(program.to_str().expect("a path of plain characters"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the load client starts");
        let mut stdin = child.stdin.take().expect("its standard input is ours");
        let line = serde_json::to_string(targets).expect("targets are JSON");
        writeln!(stdin, "{line}").expect("the load client reads its targets");
        let mut stdout = BufReader::new(child.stdout.take().expect("its standard output is ours"));
        let mut started = String::new();
        stdout
            .read_line(&mut started)
            .expect("the load client says that it started");
        assert_eq!(started.trim(), "started", "the load client did not start");
        Self {
            child,
            stdin: Some(stdin),
            stdout,
        }
    }

    /// Stops asking; a report for each target.
    ///
    /// # Panics
    /// The client broke.
    pub fn stop(mut self) -> Vec<Report> {
        drop(self.stdin.take());
        let mut text = String::new();
        self.stdout
            .read_line(&mut text)
            .expect("the load client reports");
        self.child.wait().expect("the load client ends");
        serde_json::from_str(&text).expect("the report is JSON")
    }
}
