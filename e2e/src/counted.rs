//! Writes that are counted: whatever was acknowledged has to be there afterwards.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use serde::{Deserialize, Serialize};

use crate::{Target, cluster, load::program};

/// What to write, and where; the guest is `kv`, at the target's address.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Order {
    /// The app; its path is not used.
    pub target: Target,
    /// Writers at once.
    pub writers: usize,
    /// The end: so many writes that were acknowledged.
    pub writes: usize,
}

/// What came of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Comparison {
    /// Writes that were acknowledged.
    pub acknowledged: usize,
    /// Writes that failed, or of which nobody knows.
    pub failed: usize,
    /// Keys whose write was acknowledged, and that are not there, or hold something else.
    pub lost: Vec<String>,
    /// Why writes failed: at most 20 of them.
    pub failures: Vec<String>,
}

/// Counted writes under way, from inside a node.
#[derive(Debug)]
pub struct Counted {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Counted {
    /// Begins to write.
    ///
    /// # Panics
    /// The client cannot be started.
    pub fn start(node: u8, order: &Order) -> Self {
        let node = cluster().node(node).expect("there is such a node");
        let program = program("e2e-counted");
        let mut command = node.command(program.to_str().expect("a path of plain characters"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the client starts");
        let mut stdin = child.stdin.take().expect("its standard input is ours");
        let line = serde_json::to_string(order).expect("an order is JSON");
        writeln!(stdin, "{line}").expect("the client reads its order");
        let stdout = BufReader::new(child.stdout.take().expect("its standard output is ours"));
        Self {
            child,
            stdin,
            stdout,
        }
    }

    /// Waits until so many writes were acknowledged.
    ///
    /// # Panics
    /// The client broke.
    pub fn wait_for(&mut self, writes: usize) {
        loop {
            let line = self.line();
            let count = line.trim().parse::<usize>();
            if count.expect("the client says how many writes there are") >= writes {
                return;
            }
        }
    }

    /// Waits until all was written, reads it back, and compares.
    ///
    /// # Panics
    /// The client broke.
    pub fn compare(mut self) -> Comparison {
        writeln!(self.stdin, "compare").expect("the client reads");
        let outcome = loop {
            let line = self.line();
            if line.starts_with('{') {
                break serde_json::from_str(&line).expect("the outcome is JSON");
            }
        };
        self.child.wait().expect("the client ends");
        outcome
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.stdout.read_line(&mut line);
        assert!(
            read.expect("the client speaks UTF-8") > 0,
            "the client broke"
        );
        line
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
