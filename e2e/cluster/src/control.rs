//! Stopping and starting one daemon of a running cluster, as a test of an outage does.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::health;
use crate::layout::Layout;
use crate::pki::Pki;
use crate::state::State;

/// How long a daemon may take to be ready again.
const PATIENCE: Duration = Duration::from_secs(60);

/// One daemon of a running cluster, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonControl {
    layout: Layout,
    name: String,
}

impl DaemonControl {
    pub(crate) fn new(layout: Layout, name: impl Into<String>) -> Self {
        Self {
            layout,
            name: name.into(),
        }
    }

    /// Stops it and waits until it is gone. Stopping what is stopped is no error.
    ///
    /// # Errors
    /// There is no daemon of that name (the error lists those there are), or it does not end.
    pub fn stop(&self) -> Result<()> {
        State::update(&self.layout, |state| {
            let record = state.record(&self.name)?;
            if let Some(process) = record.process {
                process.end()?;
            }
            record.process = None;
            Ok(())
        })
    }

    /// Starts it again and waits until it is ready. Starting what runs is no error.
    ///
    /// # Errors
    /// There is no daemon of that name, or it ends again, or it is not ready within a minute.
    pub fn start(&self) -> Result<()> {
        State::update(&self.layout, |state| {
            let record = state.record(&self.name)?;
            if record.process.is_none() {
                record.process = Some(record.daemon.start()?);
            }
            Ok(())
        })?;
        let pki = Pki::at(&self.layout.pki());
        let what = format!("{} being ready again", self.name);
        health::wait_for(&self.layout, &what, PATIENCE, &self.name, || {
            health::daemon(&pki, &self.name)
        })
    }

    /// Whether it runs.
    ///
    /// # Errors
    /// There is no daemon of that name.
    pub fn is_running(&self) -> Result<bool> {
        let mut state = State::read(&self.layout).unwrap_or_default();
        Ok(state
            .record(&self.name)?
            .process
            .is_some_and(|process| process.is_alive()))
    }

    /// Where it writes.
    pub fn log(&self) -> PathBuf {
        self.layout.logs().join(format!("{}.log", self.name))
    }
}
