//! The smallest HTTP client that can ask a daemon of ours how it is.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(2);

/// The status code of a GET, or why there is none.
///
/// # Errors
/// Nothing listens, or nothing like HTTP comes back in time.
pub fn status(address: &str, path: &str) -> Result<u16, String> {
    let socket: SocketAddr = address
        .parse()
        .map_err(|error| format!("{address}: {error}"))?;
    ask(socket, path).map_err(|error| format!("{address}: {error}"))
}

fn ask(socket: SocketAddr, path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&socket, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {socket}\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    parse(&head).ok_or_else(|| std::io::Error::other("it does not speak HTTP"))
}

/// The status in `HTTP/1.1 200`.
fn parse(head: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(head).ok()?;
    text.strip_prefix("HTTP/")?.split_once(' ')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_from_the_first_line() {
        assert_eq!(parse(b"HTTP/1.1 200"), Some(200));
        assert_eq!(parse(b"HTTP/1.0 503"), Some(503));
        assert_eq!(parse(b"SSH-2.0-Open"), None);
    }

    #[test]
    fn an_address_where_nothing_listens_is_in_the_error() {
        assert!(
            status("127.0.0.1:1", "/")
                .unwrap_err()
                .contains("127.0.0.1:1")
        );
    }
}
