//! Asks a runtime directly whether it lives.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::silence::Outcome;

/// Port of the runtimes' health pages.
const PORT: u16 = 9090;
const DEADLINE: Duration = Duration::from_secs(1);

/// Asks the pod at these addresses; the best news counts, but that nobody listens at one of them is final.
pub async fn ask(addresses: &[IpAddr]) -> Outcome {
    let mut outcome = Outcome::Unreachable;
    for address in addresses.iter().take(2) {
        match tokio::time::timeout(DEADLINE, get((*address, PORT).into())).await {
            Ok(Ok(())) => return Outcome::Answered,
            Ok(Err(ErrorKind::ConnectionRefused)) => return Outcome::Refused,
            Ok(Err(ErrorKind::HostUnreachable)) => {}
            Ok(Err(_)) | Err(_) => outcome = Outcome::Silent,
        }
    }
    outcome
}

async fn get(address: SocketAddr) -> Result<(), ErrorKind> {
    let mut stream = TcpStream::connect(address)
        .await
        .map_err(|error| error.kind())?;
    let request = b"GET /healthz HTTP/1.1\r\nHost: runtime\r\nConnection: close\r\n\r\n";
    stream
        .write_all(request)
        .await
        .map_err(|error| error.kind())?;
    let mut start = [0; 7];
    stream
        .read_exact(&mut start)
        .await
        .map_err(|error| error.kind())?;
    if start.starts_with(b"HTTP/1.") {
        Ok(())
    } else {
        Err(ErrorKind::InvalidData)
    }
}
