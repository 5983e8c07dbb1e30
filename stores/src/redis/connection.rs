//! One connection to the server, shared by the calls that it is chosen for.

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use ::redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, RedisConnectionInfo, ServerErrorKind, Value,
    aio::MultiplexedConnection,
};
use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    sync::OwnedSemaphorePermit,
    task::AbortHandle,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::{
    call::Call,
    fault::{Fault, UNVERIFIED},
    options::Server,
    place::Proof,
};

/// One address of the server's name may take this long, so that another of them gets its turn.
const CONNECT: Duration = Duration::from_secs(2);
/// A connection without an answer for this long, to a call that waited all the time, is given up.
const SILENCE: Duration = Duration::from_secs(2);
/// A connection this young leads where the server's name leads now.
const FRESH: Duration = Duration::from_secs(1);
/// Quiet connections are probed, so that nothing on the way forgets them.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// The kernel ends a connection whose data is not acknowledged for this long.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// See the module. Dropping it closes the connection once the calls on it have ended.
pub(crate) struct Connection {
    shared: MultiplexedConnection,
    driver: AbortHandle,
    retired: AtomicBool,
    opened: Instant,
    answered: Mutex<Instant>,
    pub(crate) proof: Proof,
}

impl Connection {
    /// Connects and logs in. `permit` is held until the connection is closed.
    pub(crate) async fn open(server: &Server, permit: OwnedSemaphorePermit) -> Result<Self, Fault> {
        let stream = connect(server).await.map_err(|error| {
            tracing::debug!(kind = ?error.kind(), "no connection to a Redis server");
            Fault::NotYet("it cannot be reached")
        })?;
        let connection = match &server.tls {
            None => Self::over(stream, permit).await?,
            Some(tls) => {
                let connector = TlsConnector::from(tls.config.clone());
                let stream = connector
                    .connect(tls.name.clone(), stream)
                    .await
                    .map_err(|error| tls_fault(&error))?;
                Self::over(stream, permit).await?
            }
        };
        connection.log_in(server).await?;
        Ok(connection)
    }

    async fn over<S>(stream: S, permit: OwnedSemaphorePermit) -> Result<Self, Fault>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        // Every call has its own deadline.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (shared, driver) = MultiplexedConnection::new_with_config(&info, stream, config)
            .await
            .map_err(|error| Fault::of(&error))?;
        let driver = tokio::spawn(async move {
            driver.await;
            drop(permit);
        });
        let now = Instant::now();
        Ok(Self {
            shared,
            driver: driver.abort_handle(),
            retired: AtomicBool::new(false),
            opened: now,
            answered: Mutex::new(now),
            proof: Proof::default(),
        })
    }

    async fn log_in(&self, server: &Server) -> Result<(), Fault> {
        if let Some(password) = &server.password {
            let mut auth = ::redis::cmd("AUTH");
            if let Some(user) = &server.user {
                auth.arg(user);
            }
            auth.arg(password);
            self.send(auth, false).await.map_err(before_any_call)?;
        }
        if server.database != 0 {
            let mut select = ::redis::cmd("SELECT");
            select.arg(server.database);
            self.send(select, false).await.map_err(before_any_call)?;
        }
        Ok(())
    }

    /// Whether new calls must take another one.
    pub(crate) fn is_closed(&self) -> bool {
        self.retired.load(Ordering::Relaxed) || self.driver.is_finished()
    }

    /// Lets the calls on it end, and no other begin.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// The data is not where it leads. The server's name may lead elsewhere by now, but it is not asked for each call.
    pub(crate) fn is_misplaced(&self) {
        if self.opened.elapsed() >= FRESH {
            self.retire();
        }
    }

    /// Makes a call, and waits for its answer until `deadline`.
    ///
    /// `moving`: see [`Pool::ask`](super::pool::Pool::ask).
    pub(crate) async fn perform(
        &self,
        call: &Call,
        moving: bool,
        deadline: Instant,
    ) -> Result<Value, Fault> {
        let start = Instant::now();
        let answer = async {
            match self.send(call.command(), moving).await {
                // The server has not begun with it, so that any call may be repeated.
                Err(Failure::NoScript) => self.send(call.whole_command(), moving).await,
                answer => answer,
            }
        };
        let fault = match timeout_at(deadline, answer).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(failure)) => failure.fault(),
            Err(_) => {
                let silent_since = start.max(*self.answered.lock());
                if silent_since.elapsed() >= SILENCE {
                    // Whoever else waits here waits in vain.
                    self.retire();
                    self.driver.abort();
                }
                Fault::Late
            }
        };
        match fault {
            Fault::Lost | Fault::LockedOut(_) => self.retire(),
            Fault::Elsewhere(reason) if self.opened.elapsed() < FRESH => {
                return Err(Fault::Refused(reason));
            }
            _ => {}
        }
        Err(fault)
    }

    async fn send(&self, command: Cmd, moving: bool) -> Result<Value, Failure> {
        let mut shared = self.shared.clone();
        let answer = if moving {
            // It counts for the next command on the connection: nobody else's may come between.
            let mut both = ::redis::pipe();
            both.cmd("ASKING").add_command(command);
            let answers = shared.send_packed_commands(&both, 0, 2).await;
            answers.map(|mut answers| answers.pop().unwrap_or_default())
        } else {
            shared.send_packed_command(&command).await
        };
        if answer.is_ok() {
            *self.answered.lock() = Instant::now();
        }
        answer.and_then(Value::extract_error).map_err(|error| {
            if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) {
                return Failure::NoScript;
            }
            let fault = Fault::of(&error);
            // Neither its text nor its detail: they may name users and hosts.
            tracing::debug!(
                code = error.code(),
                ?fault,
                "a call to a Redis server failed"
            );
            Failure::Other(fault)
        })
    }
}

/// Why a command got no answer.
enum Failure {
    NoScript,
    Other(Fault),
}

impl Failure {
    fn fault(self) -> Fault {
        match self {
            // It forgot the script between two calls: SCRIPT FLUSH in a loop.
            Self::NoScript => Fault::NotYet("it is busy"),
            Self::Other(fault) => fault,
        }
    }
}

/// Nothing that a guest wants has been sent yet.
fn before_any_call(failure: Failure) -> Fault {
    match failure.fault() {
        Fault::Lost => Fault::NotYet("it cannot be reached"),
        fault => fault,
    }
}

fn tls_fault(error: &io::Error) -> Fault {
    tracing::debug!(kind = ?error.kind(), "no TLS with a Redis server");
    match error.kind() {
        // What the certificate says, or that there is no TLS on the other side.
        io::ErrorKind::InvalidData => Fault::Refused(UNVERIFIED),
        _ => Fault::NotYet("it cannot be reached"),
    }
}

async fn connect(server: &Server) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in lookup_host((server.host.as_str(), server.port)).await? {
        match connect_to(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = timeout(CONNECT, TcpStream::connect(address)).await??;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE),
    )?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(stream)
}
