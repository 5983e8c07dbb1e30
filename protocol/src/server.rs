//! A gRPC server over mutual TLS that knows who calls.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, transport::server::Connected};

use crate::{ClientAuth, Identity, LiveIdentity, Role, TlsError, leaf::Leaf};

/// A client that has not finished its TLS handshake by then is dropped.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// Handshakes at once; more wait in the kernel's queue.
const MAX_HANDSHAKES: usize = 256;
/// Connections at once; more are closed at once.
const MAX_CONNECTIONS: usize = 8192;
/// A connection takes no new calls after this, so that most are made with a certificate that is still
/// valid; a stream that is open goes on.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(6 * 3600);

/// A tonic server with the bounds that every part keeps: streams per connection, header and frame
/// sizes, keepalive of 5 s.
pub fn builder() -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .max_concurrent_streams(1024)
        .max_frame_size(256 * 1024)
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(8 * 1024 * 1024)
        .http2_max_header_list_size(16 * 1024)
        .http2_keepalive_interval(Some(Duration::from_secs(5)))
        .http2_keepalive_timeout(Some(Duration::from_secs(5)))
        .max_connection_age(MAX_CONNECTION_AGE)
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    identity: Option<Arc<Identity>>,
    address: SocketAddr,
}

impl Peer {
    /// Who the peer's certificate says it is; `None`: it showed none.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_deref()
    }

    /// Where it calls from.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Who sends this request.
///
/// # Errors
/// `UNAUTHENTICATED`: whoever it is showed no certificate.
pub fn peer<T>(request: &Request<T>) -> Result<&Identity, Status> {
    request
        .extensions()
        .get::<Peer>()
        .and_then(Peer::identity)
        .ok_or_else(|| Status::unauthenticated("this call needs a client certificate"))
}

/// Who sends this request, if it has one of these roles.
///
/// # Errors
/// `UNAUTHENTICATED` as in [`peer`]; `PERMISSION_DENIED` for another role.
pub fn require<'r, T>(request: &'r Request<T>, roles: &[Role]) -> Result<&'r Identity, Status> {
    let identity = peer(request)?;
    if !roles.contains(&identity.role()) {
        let role = identity.role();
        return Err(Status::permission_denied(format!(
            "role `{role}` may not make this call"
        )));
    }
    Ok(identity)
}

/// A TCP socket that listens.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
}

impl Listener {
    /// Listens on `address`; `[::]` means every address of both families.
    ///
    /// # Errors
    /// The port is taken, or the address is not of this host.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let tcp = match listen(address) {
            Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED && !has_ipv6() => {
                listen((Ipv4Addr::UNSPECIFIED, address.port()).into())
            }
            result => result,
        };
        let tcp = tcp.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        })?;
        Ok(Self { tcp })
    }

    /// The address that it listens on, with the port that the kernel chose for port 0.
    ///
    /// # Errors
    /// What `getsockname` gives.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// The socket itself, for who speaks something else on it.
    pub fn into_tcp(self) -> TcpListener {
        self.tcp
    }

    /// Connections whose handshake is done, for `serve_with_incoming`. Certificate and authorities are
    /// those of `identity` at the time of each handshake. Accepting ends when the result is dropped.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn incoming(
        self,
        identity: &LiveIdentity,
        auth: ClientAuth,
    ) -> Result<ReceiverStream<io::Result<Connection>>, TlsError> {
        let acceptor = TlsAcceptor::from(identity.server_config(auth)?);
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(accept(self.tcp, acceptor, sender));
        Ok(ReceiverStream::new(receiver))
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

fn has_ipv6() -> bool {
    Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))
        .and_then(|socket| socket.bind(&SocketAddr::from((Ipv6Addr::LOCALHOST, 0)).into()))
        .is_ok()
}

async fn accept(
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    connections: mpsc::Sender<io::Result<Connection>>,
) {
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    let open = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(handshake) = handshakes.clone().acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = tcp.accept() => accepted,
            () = connections.closed() => return,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                // Out of descriptors or memory: neither comes back within the same instant.
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(open) = open.clone().try_acquire_owned() else {
            tracing::warn!(%address, "closed a connection: {MAX_CONNECTIONS} are open");
            continue;
        };
        let (acceptor, connections) = (acceptor.clone(), connections.clone());
        tokio::spawn(async move {
            let connection = handshake_with(acceptor, stream, address, open).await;
            drop(handshake);
            match connection {
                // It fails only when the server has ended.
                Ok(connection) => drop(connections.send(Ok(connection)).await),
                Err(error) => tracing::debug!(%address, %error, "refused a connection"),
            }
        });
    }
}

async fn handshake_with(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
    open: OwnedSemaphorePermit,
) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let stream = timeout(HANDSHAKE_DEADLINE, acceptor.accept(stream))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let identity = match stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(<[_]>::first)
    {
        None => None,
        Some(leaf) => Some(Arc::new(
            Leaf::parse(leaf).map_err(io::Error::other)?.identity,
        )),
    };
    Ok(Connection {
        stream,
        peer: Peer { identity, address },
        _open: open,
    })
}

/// An accepted connection: TLS is up, and the peer is known.
#[derive(Debug)]
pub struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    _open: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
