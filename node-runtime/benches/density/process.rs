//! The process that is measured, as the kernel and its client see it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Lines, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// How long it is watched while nothing happens.
const WATCH: Duration = Duration::from_secs(30);
/// Of a second, in /proc.
const TICKS: f64 = 100.0;

pub struct NodeProcess {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

/// What a process takes.
pub struct Memory {
    /// Bytes that are its own.
    pub anonymous: u64,
    pub mappings: usize,
}

impl NodeProcess {
    pub fn start(folder: &Path, apps: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("--node")
            .arg(folder)
            .args(["--apps", &apps.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        output.next().expect("it starts").unwrap();
        Self {
            child,
            input,
            output,
        }
    }

    /// Waits until it is done; what it says: most say how many milliseconds it took.
    pub fn tell(&mut self, what: &str) -> u64 {
        writeln!(self.input, "{what}").unwrap();
        self.input.flush().unwrap();
        self.output
            .next()
            .expect("it goes on")
            .unwrap()
            .parse()
            .unwrap()
    }

    pub fn memory(&self) -> Memory {
        let read = |file| fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap();
        let rollup = read("smaps_rollup");
        let line = rollup
            .lines()
            .find_map(|line| line.strip_prefix("Anonymous:"))
            .unwrap();
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
        Memory {
            anonymous: kib * 1024,
            mappings: read("maps").lines().count(),
        }
    }

    /// Seconds of processor time that it has used.
    fn processor(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let fields: Vec<f64> = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse().unwrap())
            .collect();
        fields.iter().sum::<f64>() / TICKS
    }

    /// Part of one core that it takes while nothing happens.
    pub fn idle_share(&self) -> f64 {
        let (before, began) = (self.processor(), Instant::now());
        std::thread::sleep(WATCH);
        (self.processor() - before) / began.elapsed().as_secs_f64()
    }

    /// One look at its metrics: milliseconds of processor time, and bytes.
    pub fn scrape(&mut self) -> Value {
        const TIMES: u32 = 20;
        let before = self.processor();
        let bytes = (0..TIMES).map(|_| self.tell("scrape")).max();
        let took = (self.processor() - before) * 1000.0 / f64::from(TIMES);
        json!({"cpu_ms": took, "bytes": bytes})
    }

    pub fn end(mut self) {
        drop(self.input);
        self.child.wait().unwrap();
    }
}
