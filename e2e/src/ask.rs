//! One request on a connection of its own.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use crate::Target;

const DEADLINE: Duration = Duration::from_secs(15);

/// Asks a target; gives the body of its answer.
///
/// # Errors
/// There is no connection, no whole answer, or one whose status is not 200.
pub fn ask(target: &Target) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&target.address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    let (path, host) = (&target.path, &target.host);
    // HTTP/1.0: the answer ends with the connection, so that its body needs no decoding.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        anyhow::bail!("no whole answer: {answer:?}");
    };
    let status = head.lines().next().unwrap_or_default();
    anyhow::ensure!(
        status.split(' ').nth(1) == Some("200"),
        "{status}: {}",
        body.trim()
    );
    Ok(body.to_owned())
}
