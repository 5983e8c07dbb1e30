//! The cluster's long-running processes: started so that they outlive us, found again by
//! process id and start time, stopped for certain.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::{command, wait};

/// How long a process has to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// How long a killed process takes at most to be gone.
const GONE: Duration = Duration::from_secs(10);

/// A process that the kernel cannot confuse with a later one of the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// Clock ticks since boot at its start: field 22 of `/proc/PID/stat` (proc(5)).
    pub started: u64,
}

impl Identity {
    /// The process that has this id now.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (alive, started) = parse_stat(&stat)?;
        alive.then_some(Self { pid, started })
    }

    /// Whether that very process still runs. A zombie does not.
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends a signal, unless the process is gone.
    pub fn signal(self, signal: Signal) {
        let Ok(pid) = i32::try_from(self.pid) else {
            return;
        };
        if self.is_alive() {
            // It may end between the look and the signal: then there is nothing to do.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Asks the process to end, and kills it when it does not.
    ///
    /// # Errors
    /// It is still there after that.
    pub fn end(self) -> Result<()> {
        self.signal(Signal::SIGTERM);
        if self.wait_until_gone(GRACE).is_err() {
            self.signal(Signal::SIGKILL);
        }
        self.wait_until_gone(GONE)
    }

    /// Waits for a process that was told to end.
    ///
    /// # Errors
    /// It is still there after `limit`.
    pub fn wait_until_gone(self, limit: Duration) -> Result<()> {
        wait::until(&format!("the end of process {}", self.pid), limit, || {
            Ok(if self.is_alive() {
                Err("it still runs".to_owned())
            } else {
                Ok(())
            })
        })
    }
}

/// Whether the process runs, and when it started; the name in parentheses may hold anything.
fn parse_stat(stat: &str) -> Option<(bool, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    // The state is field 3 and the start time field 22.
    let started = fields.nth(18)?.parse().ok()?;
    Some((!matches!(state, "Z" | "X"), started))
}

/// What a daemon is: enough to start it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daemon {
    /// Its name within the cluster, such as `kubelet-node1`.
    pub name: String,
    /// What is run; the file name is the program's first argument.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// The network namespace that it lives in, if it is not the machine's own.
    pub namespace: Option<String>,
    /// The file for all that it prints.
    pub log: PathBuf,
}

impl Daemon {
    /// Starts it in a session of its own: it outlives the process that started it.
    ///
    /// # Errors
    /// The program, `setsid` or `nsenter` cannot be started, or the log cannot be opened.
    pub fn start(&self) -> Result<Identity> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot open {}", self.log.display()))?;
        // `setsid` and `nsenter` replace themselves by what they start, so that the id of the
        // child is the id of the daemon.
        let mut command = Command::new("setsid");
        if let Some(namespace) = &self.namespace {
            command
                .arg("nsenter")
                .arg(format!("--net=/run/netns/{namespace}"))
                .arg("--");
        }
        let child = command
            .arg(&self.program)
            .args(&self.args)
            .env_clear()
            .env("PATH", command::search_path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {} ({})", self.name, self.program.display()))?;
        Identity::of(child.id()).with_context(|| self.obituary())
    }

    /// What to tell when it has ended and should not have.
    pub fn obituary(&self) -> String {
        format!(
            "{} has ended; the last lines of {}:\n{}",
            self.name,
            self.log.display(),
            last_lines(&self.log, 12)
        )
    }

    /// Fails with [`Daemon::obituary`] unless `identity` still runs.
    ///
    /// # Errors
    /// It has ended.
    pub fn check(&self, identity: Identity) -> Result<()> {
        if !identity.is_alive() {
            bail!(self.obituary());
        }
        Ok(())
    }
}

/// The end of a log, indented; empty if there is none.
pub fn last_lines(log: &Path, count: usize) -> String {
    let text = tail(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let skip = lines.len().saturating_sub(count);
    lines
        .iter()
        .skip(skip)
        .map(|line| format!("    {line}\n"))
        .collect()
}

/// The last 64 KiB: a log that was written for days is not read whole.
fn tail(log: &Path) -> Option<String> {
    const MOST: u64 = 64 * 1024;
    let file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    let from = length.saturating_sub(MOST);
    let mut bytes = vec![0; usize::try_from(length - from).ok()?];
    file.read_exact_at(&mut bytes, from).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(
            parse_stat(&format!("7 (a) b (c)) {rest}")),
            Some((true, 4242))
        );
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let stat = "7 (x) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(parse_stat(stat), Some((false, 4242)));
    }

    #[test]
    fn a_recycled_id_is_another_process() {
        let own = Identity::of(std::process::id()).unwrap();
        assert!(own.is_alive());
        assert!(
            !Identity {
                started: own.started + 1,
                ..own
            }
            .is_alive()
        );
    }

    #[test]
    fn a_daemon_runs_in_a_session_of_its_own_until_it_is_ended() {
        let log = std::env::temp_dir().join(format!("shoal-daemon-{}.log", std::process::id()));
        let daemon = Daemon {
            name: "sleeper".to_owned(),
            program: PathBuf::from("sh"),
            args: vec!["-c".to_owned(), "echo ready; exec sleep 60".to_owned()],
            namespace: None,
            log: log.clone(),
        };
        let identity = daemon.start().unwrap();
        wait::until("its first line", GONE, || {
            Ok(if last_lines(&log, 1).contains("ready") {
                Ok(())
            } else {
                Err(String::new())
            })
        })
        .unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", identity.pid)).unwrap();
        let session = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .nth(3)
            .unwrap();
        assert_eq!(session, identity.pid.to_string());
        identity.end().unwrap();
        assert!(!identity.is_alive());
        assert!(
            daemon
                .check(identity)
                .unwrap_err()
                .to_string()
                .contains("ready")
        );
        std::fs::remove_file(log).unwrap();
    }
}
