//! One TCP socket per app, and the connections that come in through it.

mod accept;
mod bind;
mod connection;
mod guard;

use std::{net::SocketAddr, sync::Arc};

use tokio::{runtime::Handle, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use bind::BindError;

use crate::{app::App, assignment::Assignment};

/// Where connections are served.
#[derive(Clone)]
pub(crate) struct Serving {
    /// Threads of connections and guests.
    pub(crate) runtime: Handle,
    /// Every connection of the node.
    pub(crate) connections: TaskTracker,
}

/// An app's open port. Dropping it closes the port and asks its connections to end.
pub(crate) struct Listener {
    port: u16,
    address: SocketAddr,
    stop: CancellationToken,
    accepting: JoinHandle<()>,
}

impl Listener {
    /// Opens the app's port. Must be called within the runtime that accepts.
    ///
    /// # Errors
    /// [`BindError`]
    pub(crate) fn open(
        assignment: &Assignment,
        app: &Arc<App>,
        serving: &Serving,
    ) -> Result<Self, BindError> {
        let socket = bind::bind(assignment.listen_address, assignment.port)?;
        let address = socket
            .local_addr()
            .map_err(|error| BindError::new(assignment.port, &error))?;
        let stop = CancellationToken::new();
        let accepting = accept::run(socket, Arc::clone(app), serving.clone(), stop.clone());
        Ok(Self {
            port: assignment.port,
            address,
            stop,
            accepting: tokio::spawn(accepting),
        })
    }

    /// Closes the port, and returns when it is closed. Connections end after their requests.
    pub(crate) async fn close(mut self) {
        self.stop.cancel();
        // Fails only where the task panicked, and then its socket is closed as well.
        let _ = (&mut self.accepting).await;
    }

    /// The port that was asked for.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The address that the socket has.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
