//! Connections of the API server.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A client that has not finished its handshake by then is dropped.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// Handshakes at once; more wait in the kernel's queue.
const HANDSHAKES: usize = 64;

/// Who is at the other end, by a certificate that the front-proxy authority signed.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Its subject's common name; empty: it has none.
    pub(super) common_name: Arc<str>,
}

/// Connections whose handshake is done.
pub(super) struct Connections {
    accepted: mpsc::Receiver<(TlsStream<TcpStream>, Peer)>,
}

impl Connections {
    /// Accepts from `listener` for as long as the result is there.
    pub(super) fn accept(listener: TcpListener, tls: Arc<ServerConfig>) -> Self {
        let (sender, accepted) = mpsc::channel(16);
        tokio::spawn(accept(listener, TlsAcceptor::from(tls), sender));
        Self { accepted }
    }
}

async fn accept(
    listener: TcpListener,
    tls: TlsAcceptor,
    accepted: mpsc::Sender<(TlsStream<TcpStream>, Peer)>,
) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(place) = handshakes.clone().acquire_owned().await else {
            return;
        };
        let connection = tokio::select! {
            connection = listener.accept() => connection,
            () = accepted.closed() => return,
        };
        let stream = match connection {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                // Out of descriptors or memory: neither comes back within the same instant.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (tls, accepted) = (tls.clone(), accepted.clone());
        tokio::spawn(async move {
            let shaken = tokio::time::timeout(HANDSHAKE_DEADLINE, handshake(tls, stream)).await;
            drop(place);
            match shaken {
                // It fails only when the server has ended.
                Ok(Ok(connection)) => drop(accepted.send(connection).await),
                Ok(Err(error)) => tracing::debug!(%error, "refused a connection"),
                Err(_) => tracing::debug!("refused a connection: no handshake in time"),
            }
        });
    }
}

async fn handshake(
    tls: TlsAcceptor,
    stream: TcpStream,
) -> io::Result<(TlsStream<TcpStream>, Peer)> {
    stream.set_nodelay(true)?;
    let stream = tls.accept(stream).await?;
    let certificates = stream.get_ref().1.peer_certificates();
    let leaf = certificates
        .and_then(<[_]>::first)
        .ok_or_else(|| io::Error::other("no certificate was shown"))?;
    let common_name = common_name(leaf)?;
    Ok((stream, Peer { common_name }))
}

fn common_name(certificate: &[u8]) -> io::Result<Arc<str>> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(io::Error::other)?;
    let mut names = certificate.subject().iter_common_name();
    let name = names.next().and_then(|name| name.as_str().ok());
    Ok(name.unwrap_or_default().into())
}

impl Listener for Connections {
    type Io = TlsStream<TcpStream>;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.accepted.recv().await {
            Some(connection) => connection,
            // Only with the runtime.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Connected<IncomingStream<'_, Connections>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Connections>) -> Self {
        stream.remote_addr().clone()
    }
}
