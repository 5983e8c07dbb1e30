//! When a process is asked to end.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Completes when the process gets SIGTERM or SIGINT. The handlers are set when this is called, not
/// when the result is first awaited.
///
/// # Errors
/// The handlers cannot be set.
pub fn signalled() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: ending"),
            _ = interrupt.recv() => tracing::info!("SIGINT: ending"),
        }
    })
}
