//! Opening an app's socket.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// The port cannot be listened on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("port {port} cannot be listened on: {reason}")]
pub struct BindError {
    port: u16,
    reason: String,
}

impl BindError {
    pub(super) fn new(port: u16, error: &io::Error) -> Self {
        Self {
            port,
            reason: error.to_string(),
        }
    }
}

/// Listens on `address`, or without one on every address of both families (of IPv4 alone where the
/// machine has no IPv6).
pub(super) fn bind(address: Option<IpAddr>, port: u16) -> Result<TcpListener, BindError> {
    let bound = match address {
        Some(address) => listen(SocketAddr::new(address, port)),
        None => match listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))) {
            Err(error) if has_no_ipv6(&error) => {
                listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
            }
            bound => bound,
        },
    };
    bound
        .and_then(TcpListener::from_std)
        .map_err(|error| BindError::new(port, &error))
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A port whose connections have not all been forgotten by the kernel can be opened again.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn has_no_ipv6(error: &io::Error) -> bool {
    use nix::libc::{EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL, EPROTONOSUPPORT};
    let codes = [EAFNOSUPPORT, EADDRNOTAVAIL, EPROTONOSUPPORT, EINVAL];
    error
        .raw_os_error()
        .is_some_and(|code| codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn one_socket_takes_both_families() {
        let socket = bind(None, 0).unwrap();
        let port = socket.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        if socket.local_addr().unwrap().is_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_named() {
        let socket = bind(None, 0).unwrap();
        let port = socket.local_addr().unwrap().port();
        let error = bind(None, port).unwrap_err().to_string();
        assert!(
            error.contains(&format!("port {port}")) && error.contains("in use"),
            "{error}"
        );
    }
}
