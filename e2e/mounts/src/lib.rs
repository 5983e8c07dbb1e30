//! Tests of what a machine's administrator arranges otherwise: a disk of a few MiB, another `/etc/hosts`. Such a test
//! runs a second time, as a process whose mounts are its own, and there does its work.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

use std::{path::Path, process::Command};

/// A test of the running program, to be run where its mounts are its own.
#[derive(Clone, Copy, Debug)]
pub struct Apart<'a> {
    /// Its name, as the harness has it. Where it runs otherwise it does nothing.
    pub test: &'a str,
    /// What is arranged for it: a command of the shell, in which `$1` is `place`.
    pub mount: &'a str,
    /// A folder or file that it is arranged with.
    pub place: &'a Path,
    /// What it knows in its environment, by which it sees that it is to do its work.
    pub environment: &'a [(&'a str, &'a Path)],
    /// Whether the machine's own administrator is needed, as for processes of another user; else any user will do.
    pub as_root: bool,
    /// A word that it prints when it has done its work.
    pub word: &'a str,
}

impl Apart<'_> {
    /// Runs it; says that `what` was skipped, where this machine does not let it or it says so itself.
    ///
    /// # Panics
    /// It fails, or did nothing.
    pub fn run(&self, what: &str) {
        let can = self.shell(self.mount).output();
        if !can.is_ok_and(|output| output.status.success()) {
            shoal_skip::skipped(format_args!("{what}: no mount namespaces here"));
            return;
        }
        let (mount, test) = (self.mount, self.test);
        let script = format!("{mount}; exec \"$2\" --exact {test} --nocapture");
        let output = self.shell(&script).output().expect("it could be started");
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{errors}");
        if let Some((_, why)) = errors.split_once(shoal_skip::MARK) {
            shoal_skip::skipped(why.trim());
            return;
        }
        assert!(
            text.contains(self.word),
            "{test} did nothing: {text}\n{errors}"
        );
    }

    fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("unshare");
        if !self.as_root {
            command.arg("--map-root-user");
        }
        command
            .args(["--mount", "sh", "-ec", script, "sh"])
            .arg(self.place)
            .arg(std::env::current_exe().expect("this program has a file"))
            .envs(self.environment.iter().copied());
        command
    }
}

/// Makes the file system in memory at `folder` so large; `size` as `mount` has it (`64m`).
///
/// # Panics
/// It is none of this process's own.
pub fn enlarge(folder: &str, size: &str) {
    let remount = ["-o", &format!("remount,size={size}"), folder];
    let status = Command::new("mount").args(remount).status();
    assert!(status.expect("there is `mount`").success());
}
