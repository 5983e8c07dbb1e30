//! The record of what runs, kept in a file so that every process on the machine agrees on it.

use std::fs::{File, OpenOptions};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::layout::{Layout, write};
use crate::process::{Daemon, Identity};

/// What is recorded about a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// What the cluster was made from: another value, another cluster.
    pub recipe: String,
    /// The boot that the process identities are of.
    pub boot: String,
    /// Whether the start came to its end.
    pub complete: bool,
    /// The folder of the Kubernetes binaries.
    pub binaries: std::path::PathBuf,
    /// Every daemon, in the order of their start.
    pub daemons: Vec<Record>,
}

/// One daemon and its process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// How to start it.
    pub daemon: Daemon,
    /// Its process; none while it is stopped on purpose.
    pub process: Option<Identity>,
}

impl State {
    /// Reads the record, if there is one that can be read.
    pub fn read(layout: &Layout) -> Option<Self> {
        let text = std::fs::read(layout.state()).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Changes the record under a lock; it is replaced as a whole, so that a reader and a crash
    /// see the old one or the new one.
    ///
    /// # Errors
    /// It cannot be read, locked or written, or `change` fails.
    pub fn update<T>(layout: &Layout, change: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let _lock = lock(layout)?;
        let mut state = Self::read(layout).unwrap_or_default();
        let result = change(&mut state)?;
        state.write(layout)?;
        Ok(result)
    }

    fn write(&self, layout: &Layout) -> Result<()> {
        let path = layout.state();
        let next = path.with_extension("next");
        write(&next, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&next, &path).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The record of the daemon called `name`.
    ///
    /// # Errors
    /// There is none; the error lists those there are.
    pub fn record(&mut self, name: &str) -> Result<&mut Record> {
        let known: Vec<_> = self
            .daemons
            .iter()
            .map(|it| it.daemon.name.clone())
            .collect();
        match self.daemons.iter_mut().find(|it| it.daemon.name == name) {
            Some(record) => Ok(record),
            None => bail!(
                "the cluster has no daemon `{name}`; it has {}",
                known.join(", ")
            ),
        }
    }

    /// Daemons that should run and do not.
    pub fn dead(&self) -> impl Iterator<Item = &Daemon> {
        let same_boot = self.boot == boot();
        self.daemons
            .iter()
            .filter(move |it| {
                it.process
                    .is_some_and(|process| !same_boot || !process.is_alive())
            })
            .map(|it| &it.daemon)
    }

    /// Daemons that somebody stopped on purpose.
    pub fn stopped(&self) -> impl Iterator<Item = &Daemon> {
        self.daemons
            .iter()
            .filter(|it| it.process.is_none())
            .map(|it| &it.daemon)
    }

    /// The processes that are ours and still run.
    pub fn alive(&self) -> Vec<Identity> {
        if self.boot != boot() {
            return Vec::new();
        }
        let processes = self.daemons.iter().filter_map(|it| it.process);
        processes.filter(|it| it.is_alive()).collect()
    }
}

/// What tells one boot of the machine from the next; start times count from it.
pub fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

fn lock(layout: &Layout) -> Result<File> {
    let path = layout.state().with_extension("lock");
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    file.lock()
        .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn record(name: &str, process: Option<Identity>) -> Record {
        let daemon = Daemon {
            name: name.to_owned(),
            program: PathBuf::from(name),
            args: Vec::new(),
            namespace: None,
            log: PathBuf::from("/dev/null"),
        };
        Record { daemon, process }
    }

    fn own() -> Identity {
        Identity::of(std::process::id()).unwrap()
    }

    fn names<'a>(daemons: impl Iterator<Item = &'a Daemon>) -> Vec<&'a str> {
        daemons.map(|it| it.name.as_str()).collect()
    }

    #[test]
    fn dead_and_stopped_are_told_apart() {
        let gone = Identity {
            started: own().started + 1,
            ..own()
        };
        let state = State {
            boot: boot(),
            daemons: vec![
                record("runs", Some(own())),
                record("dead", Some(gone)),
                record("stopped", None),
            ],
            ..State::default()
        };
        assert_eq!(names(state.dead()), ["dead"]);
        assert_eq!(names(state.stopped()), ["stopped"]);
        assert_eq!(state.alive(), [own()]);
    }

    #[test]
    fn after_a_reboot_every_process_is_dead() {
        let state = State {
            boot: "another".to_owned(),
            daemons: vec![record("runs", Some(own()))],
            ..State::default()
        };
        assert_eq!(names(state.dead()), ["runs"]);
        assert!(state.alive().is_empty());
    }

    #[test]
    fn an_unknown_daemon_is_named_with_those_there_are() {
        let mut state = State {
            daemons: vec![record("etcd", None)],
            ..State::default()
        };
        let error = state.record("etdc").unwrap_err().to_string();
        assert!(
            error.contains("`etdc`") && error.contains("it has etcd"),
            "{error}"
        );
    }
}
