//! Where the databases of a test run: on the address that nodes and pods reach this machine at.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt as _},
    path::Path,
    process::{Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User},
};

use crate::cluster;

/// The address of this machine on the cluster's network.
pub(super) fn address() -> String {
    let registry = cluster().registry();
    let (address, _) = registry.rsplit_once(':').expect("host:port");
    address.to_owned()
}

/// A port of that address that nobody has.
pub(super) fn free_port() -> u16 {
    shoal_ports::free_port_of(address().parse().expect("it is an address"))
}

fn owner() -> User {
    User::from_name("postgres")
        .expect("the list of users can be read")
        .expect("Debian's postgresql makes a user `postgres`")
}

/// Gives a path to the user that databases run as: Postgres refuses root.
pub(super) fn give(path: &Path) {
    let owner = owner();
    chown(path, Some(owner.uid.as_raw()), Some(owner.gid.as_raw()))
        .expect("root may give files away");
}

/// A command of that user, in `folder`.
pub(super) fn command(program: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
    let owner = owner();
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .uid(owner.uid.as_raw())
        .gid(owner.gid.as_raw());
    command
}

/// Runs a command to its end and gives its output.
///
/// # Panics
/// It failed.
pub(super) fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program is installed");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Sends a signal to a process and to its children.
pub(super) fn signal_all(parent: Pid, signal: Signal) {
    for child in children(parent) {
        // It may have ended by itself.
        let _gone = kill(child, signal);
    }
    let _gone = kill(parent, signal);
}

fn children(parent: Pid) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").expect("a Linux machine");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent.as_raw()))
        .map(Pid::from_raw)
        .collect()
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it, in brackets, may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}
