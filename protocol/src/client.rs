//! gRPC channels over mutual TLS.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    codegen::{Service, http::Uri},
    transport::{Channel, Endpoint},
};

use crate::{LiveIdentity, Role, TlsError};

/// Resolving a name may take this long.
pub(crate) const RESOLVE_DEADLINE: Duration = Duration::from_secs(3);
/// One address may take this long to answer a TCP connection.
const TCP_DEADLINE: Duration = Duration::from_secs(1);
/// Name, TCP and TLS together.
const CONNECT_DEADLINE: Duration = Duration::from_secs(4);
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;

/// Why there is no channel.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A role that serves nobody was asked for.
    #[error("parts of role `{0}` serve nobody")]
    NotAServer(Role),
    /// The connection failed.
    #[error("cannot connect to {target}: {}", chain(.error))]
    Transport {
        /// What was dialled.
        target: String,
        /// What went wrong.
        error: tonic::transport::Error,
    },
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        // Some errors repeat their source in their own words.
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

/// A channel to the part of role `server` at `target` (`host:port`), which must show a certificate of
/// that role. It connects when first used and again after a failure, resolving the name and taking
/// certificate and authorities as they are then. Calls fail with `UNAVAILABLE` while it cannot.
///
/// # Errors
/// TLS cannot be set up, or that role serves nobody.
pub fn channel(
    target: &str,
    server: Role,
    identity: &LiveIdentity,
) -> Result<Channel, ConnectError> {
    let (endpoint, connector) = prepare(target, server, identity)?;
    Ok(endpoint.connect_with_connector_lazy(connector))
}

/// Streams of a [`streaming_channel`] that nobody reads for a while and that leave room for others.
pub const STREAMS: usize = 512;
/// What one stream of it may have on its way.
const STREAM_BYTES: u32 = 64 * 1024;

/// As [`channel`], for calls whose answers are streams that are read as slowly as it pleases: each of
/// [`STREAMS`] has room of its own on the connection, so that none waits for another.
///
/// # Errors
/// As there.
pub fn streaming_channel(
    target: &str,
    server: Role,
    identity: &LiveIdentity,
) -> Result<Channel, ConnectError> {
    let (endpoint, connector) = prepare(target, server, identity)?;
    let all = STREAM_BYTES.saturating_mul(u32::try_from(STREAMS).unwrap_or(u32::MAX));
    Ok(endpoint
        .initial_stream_window_size(STREAM_BYTES)
        .initial_connection_window_size(all)
        .connect_with_connector_lazy(connector))
}

/// As [`channel`], connected once before it is returned.
///
/// # Errors
/// As there; or the connection fails, or takes longer than 4 s.
pub async fn connect(
    target: &str,
    server: Role,
    identity: &LiveIdentity,
) -> Result<Channel, ConnectError> {
    let (endpoint, connector) = prepare(target, server, identity)?;
    endpoint
        .connect_with_connector(connector)
        .await
        .map_err(|error| ConnectError::Transport {
            target: target.to_owned(),
            error,
        })
}

fn prepare(
    target: &str,
    server: Role,
    identity: &LiveIdentity,
) -> Result<(Endpoint, Connector), ConnectError> {
    let name = server
        .server_name()
        .ok_or(ConnectError::NotAServer(server))?;
    let connector = Connector {
        target: target.into(),
        server_name: ServerName::try_from(name).map_err(|_| ConnectError::NotAServer(server))?,
        config: identity.client_config()?,
    };
    let endpoint = Endpoint::from_shared(format!("http://{name}"))
        .map_err(|error| ConnectError::Transport {
            target: target.to_owned(),
            error,
        })?
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(8 * 1024 * 1024)
        .http2_max_header_list_size(16 * 1024)
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true);
    Ok((endpoint, connector))
}

/// Dials the target, whatever URI tonic asks for.
#[derive(Clone)]
struct Connector {
    target: Arc<str>,
    server_name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            timeout(CONNECT_DEADLINE, this.dial())
                .await
                .unwrap_or_else(|_| {
                    let message = format!("no answer within {CONNECT_DEADLINE:?}");
                    Err(io::Error::new(io::ErrorKind::TimedOut, message))
                })
        })
    }
}

impl Connector {
    async fn dial(self) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
        let stream = dial_any(&resolve(&self.target).await?).await?;
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(self.config)
            .connect(self.server_name, stream)
            .await?;
        Ok(TokioIo::new(stream))
    }
}

/// Addresses of `host:port`, at least one.
pub(crate) async fn resolve(target: &str) -> io::Result<Vec<SocketAddr>> {
    let found = timeout(RESOLVE_DEADLINE, lookup_host(target))
        .await
        .map_err(|_| {
            io::Error::new(
                io::ErrorKind::TimedOut,
                format!("`{target}` was not resolved in time"),
            )
        })??;
    let addresses: Vec<_> = found.collect();
    if addresses.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("`{target}` has no address"),
        ));
    }
    Ok(addresses)
}

async fn dial_any(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses.iter().take(MAX_ADDRESSES) {
        match timeout(TCP_DEADLINE, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = io::Error::new(error.kind(), format!("{address}: {error}")),
            Err(_) => {
                let message = format!("{address}: no answer within {TCP_DEADLINE:?}");
                last = io::Error::new(io::ErrorKind::TimedOut, message);
            }
        }
    }
    Err(last)
}
