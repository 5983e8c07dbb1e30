//! Clients: one that speaks HTTP, and bytes on a socket for what no HTTP client would send.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::LONG;

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The response broke off.
    pub broken: bool,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

pub async fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, request("GET", path, &[]), "").await
}

pub async fn post(address: SocketAddr, path: &str, body: impl Into<Bytes>) -> Answer {
    send(address, request("POST", path, &[]), body).await
}

pub fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> http::request::Builder {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "app.test");
    headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    })
}

/// On a connection of its own.
pub async fn send(
    address: SocketAddr,
    request: http::request::Builder,
    body: impl Into<Bytes>,
) -> Answer {
    try_send(address, request, body)
        .await
        .expect("the connection was closed without an answer")
}

/// `None`: the connection was closed before a response had begun.
pub async fn try_send(
    address: SocketAddr,
    request: http::request::Builder,
    body: impl Into<Bytes>,
) -> Option<Answer> {
    let request = request.body(Full::new(body.into())).unwrap();
    let exchange = async {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let (parts, body) = sender.send_request(request).await.ok()?.into_parts();
        let (body, broken) = read(body).await;
        let (status, headers) = (parts.status, parts.headers);
        Some(Answer {
            status,
            headers,
            body,
            broken,
        })
    };
    timeout(LONG, exchange).await.expect("no answer")
}

async fn read(mut body: hyper::body::Incoming) -> (Bytes, bool) {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => whole.extend(frame.into_data().unwrap_or_default()),
            Err(_) => return (whole.into(), true),
        }
    }
    (whole.into(), false)
}

/// Clients that ask for something without end, and wait for it until they are dropped.
pub async fn spinners(address: SocketAddr, path: &str, count: usize) -> Vec<Raw> {
    let mut spinners = Vec::new();
    for _ in 0..count {
        let mut client = Raw::connect(address).await;
        let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        client.write(&head).await;
        spinners.push(client);
    }
    spinners
}

/// A connection on which any bytes can be sent.
pub struct Raw(pub TcpStream);

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub async fn write(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// A request to the guest `echo` that does not end: until [`end_echo`](Self::end_echo) its instance stays.
    pub async fn begin_echo(address: SocketAddr) -> Self {
        let mut client = Self::connect(address).await;
        client
            .write("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\necho\r\n")
            .await;
        client
    }

    /// Ends that request; what came back.
    pub async fn end_echo(mut self) -> String {
        self.write("0\r\n\r\n").await;
        self.read_until("\r\n0\r\n\r\n").await
    }

    /// Reads until `end` has come or the connection has ended.
    pub async fn read_until(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        let mut part = [0; 4096];
        let reading = async {
            while !String::from_utf8_lossy(&text).contains(end) {
                match self.0.read(&mut part).await {
                    Ok(0) | Err(_) => break,
                    Ok(read) => text.extend(&part[..read]),
                }
            }
        };
        timeout(LONG, reading).await.expect("nothing comes");
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Reads until the connection ends; `None` if it does not.
    pub async fn read_to_end(&mut self) -> Option<String> {
        let mut text = Vec::new();
        // A connection that is reset has ended too.
        let ended = timeout(LONG, self.0.read_to_end(&mut text)).await;
        ended
            .ok()
            .map(|_| String::from_utf8_lossy(&text).into_owned())
    }
}
