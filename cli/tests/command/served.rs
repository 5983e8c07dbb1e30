//! A `shoal up` that runs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

/// The process; it ends with this value.
pub struct Served {
    child: Child,
    output: BufReader<ChildStdout>,
    /// `IP:PORT` of each app, in order.
    pub addresses: Vec<String>,
    /// What was printed below the addresses.
    pub routes: Vec<String>,
}

impl Served {
    /// Starts `command` (a `shoal up`) and waits until it serves `apps` apps of one route each.
    pub fn start(command: &mut Command, apps: usize) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut served = Self {
            child,
            output,
            addresses: Vec::new(),
            routes: Vec::new(),
        };
        while served.routes.len() < apps {
            let mut line = String::new();
            let read = served.output.read_line(&mut line).unwrap();
            assert!(read > 0, "it ended with {:?}", served.child.wait());
            match line.trim_end().strip_prefix("Serving http://") {
                Some(address) => served.addresses.push(address.to_owned()),
                None => served.routes.push(line.trim().to_owned()),
            }
        }
        served
    }

    /// Status and body of a request to the app of that index.
    pub fn request(&self, app: usize, method: &str, path: &str, form: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.addresses[app]).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(180)))
            .unwrap();
        // Of 1.0: the body is what comes before the end, and not in chunks.
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nhost: test\r\nconnection: close\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n{form}",
            form.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split_whitespace().nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
        (status, body)
    }

    /// Status and body of a `GET`.
    pub fn get(&self, app: usize, path: &str) -> (u16, String) {
        self.request(app, "GET", path, "")
    }

    /// Sends Ctrl-C's signal and waits for the end.
    pub fn interrupt(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        crate::until("it ends", || self.child.try_wait().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
