//! The builder as a child process: started, and started again when it ends.

use std::{
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    net::UnixStream,
    process::{Child, Command},
    time::{Instant, sleep},
};

const NAME: &str = "shoal-builder";
/// Longest time until a builder that was started answers.
const START: Duration = Duration::from_secs(10);

/// The builder cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It cannot be executed.
    #[error("{} cannot be started: {error} (it is looked for beside this program, then on PATH)", program.display())]
    Spawn {
        /// What was to be started.
        program: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It ended at once.
    #[error("{} ended with {status}; its log says why", program.display())]
    Ended {
        /// What was started.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
    },
    /// It does not answer.
    #[error("{} did not open its socket within {} s", program.display(), START.as_secs())]
    Silent {
        /// What was started.
        program: PathBuf,
    },
}

/// Starts the builder and waits until its socket answers. It keeps its state in `folder`.
pub(super) async fn start(folder: &Path, socket: &Path) -> Result<Child, ChildError> {
    let program = program();
    let mut child = Command::new(&program)
        .arg("--local-socket")
        .arg(socket)
        .arg("--data-dir")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        // A Ctrl-C is for this process, which still needs its builder while it drains.
        .process_group(0)
        .spawn()
        .map_err(|error| ChildError::Spawn {
            program: program.clone(),
            error,
        })?;
    let deadline = Instant::now() + START;
    loop {
        if UnixStream::connect(socket).await.is_ok() {
            return Ok(child);
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(ChildError::Ended { program, status });
        }
        if Instant::now() >= deadline {
            return Err(ChildError::Silent { program });
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// The builder beside this program, else whatever PATH has.
fn program() -> PathBuf {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| Some(own.parent()?.join(NAME)));
    beside
        .filter(|path| path.is_file())
        .unwrap_or_else(|| NAME.into())
}
