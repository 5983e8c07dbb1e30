//! A connection that is made again after a failure, but not in a hurry.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::fault;
use crate::KeyValueError;

/// Time between two attempts to open a file that does not open.
const AGAIN: Duration = Duration::from_millis(250);
/// A fault that goes on is logged this often.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// See the module. `F` opens the file.
pub(crate) struct Reopening<F> {
    open: F,
    connection: Option<Connection>,
    failed: Option<(Instant, KeyValueError)>,
    logged: Option<Instant>,
    file: String,
}

impl<F: Fn() -> rusqlite::Result<Connection>> Reopening<F> {
    pub(crate) fn new(file: String, open: F) -> Self {
        Self {
            open,
            connection: None,
            failed: None,
            logged: None,
            file,
        }
    }

    /// Runs `work` on the connection; its failure may close it.
    pub(crate) fn run<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, KeyValueError> {
        let result = work(self.connection()?);
        result.map_err(|error| {
            self.log(&error);
            if fault::wants_new_connection(&error) {
                self.connection = None;
            }
            fault::unavailable(&error)
        })
    }

    fn connection(&mut self) -> Result<&Connection, KeyValueError> {
        if self.connection.is_none() {
            if let Some((at, error)) = &self.failed
                && at.elapsed() < AGAIN
            {
                return Err(error.clone());
            }
            match (self.open)() {
                Ok(connection) => {
                    self.failed = None;
                    self.connection = Some(connection);
                }
                Err(error) => {
                    self.log(&error);
                    self.failed = Some((Instant::now(), fault::unavailable(&error)));
                }
            }
        }
        match (&self.connection, &self.failed) {
            (Some(connection), _) => Ok(connection),
            (None, Some((_, error))) => Err(error.clone()),
            (None, None) => Err(KeyValueError::Unavailable("its file is closed".to_owned())),
        }
    }

    fn log(&mut self, error: &rusqlite::Error) {
        if self.logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            self.logged = Some(Instant::now());
            tracing::error!(file = self.file, %error, "the file of a shard cannot be used");
        }
    }
}
