//! Accepting: never in the threads that guests run on, and never given up.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::{Serving, connection};
use crate::app::App;

/// Pause where the system has no descriptor or memory for another connection.
const PAUSE: Duration = Duration::from_millis(50);

/// What a client gets whose connection is one too many.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    proxy-status: shoal; error=connection_limit_reached\r\n\
    retry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

pub(super) async fn run(
    socket: TcpListener,
    app: Arc<App>,
    serving: Serving,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => serve(stream, client, &app, &serving, &stop),
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(app = %app.name(), %error, "no connection can be accepted now");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn serve(
    stream: TcpStream,
    client: SocketAddr,
    app: &Arc<App>,
    serving: &Serving,
    stop: &CancellationToken,
) {
    let Some(permit) = app.connect() else {
        // Fits the empty buffer of a new socket, so it is never waited for.
        let _ = stream.try_write(TOO_MANY);
        return;
    };
    // From here on it belongs to the threads that serve.
    let Ok(stream) = stream.set_nodelay(true).and_then(|()| stream.into_std()) else {
        return;
    };
    let connection = connection::run(stream, client, Arc::clone(app), permit, stop.clone());
    serving.connections.spawn_on(connection, &serving.runtime);
}

/// The client was gone before it was accepted.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted | WouldBlock
    )
}
