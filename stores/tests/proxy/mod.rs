//! A way to a server that can be slow, or lead elsewhere.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// How it treats what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    target: SocketAddr,
    held: bool,
    cuts: u32,
}

/// See the module. Dropping it cuts all connections.
pub struct Proxy {
    pub address: SocketAddr,
    way: watch::Sender<Way>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A way to `target`.
    pub async fn to(target: SocketAddr) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), target).await
    }

    /// The same, at an address.
    pub async fn at(address: SocketAddr, target: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let way = watch::Sender::new(Way {
            target,
            held: false,
            cuts: 0,
        });
        let task = tokio::spawn(accept(listener, way.subscribe()));
        Self { address, way, task }
    }

    /// Nothing arrives any more, in either direction, and no connection breaks.
    pub fn hold(&self) {
        self.way.send_modify(|way| way.held = true);
    }

    /// What was held arrives now.
    pub fn release(&self) {
        self.way.send_modify(|way| way.held = false);
    }

    /// Leads to another server; connections to the one before are cut.
    pub fn lead_to(&self, target: SocketAddr) {
        self.way.send_modify(|way| {
            way.target = target;
            way.cuts += 1;
        });
    }

    /// The same for new connections; those that there are stay.
    pub fn lead_new_to(&self, target: SocketAddr) {
        self.way.send_modify(|way| way.target = target);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, way: watch::Receiver<Way>) {
    // They end with this task.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        connections.spawn(pass(client, way.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn pass(client: TcpStream, mut way: watch::Receiver<Way>) {
    let Ok(open) = way.wait_for(|way| !way.held).await.map(|way| *way) else {
        return;
    };
    let Ok(server) = TcpStream::connect(open.target).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (there, back) = (way.clone(), way.clone());
    tokio::select! {
        () = copy(&mut from_client, &mut to_server, there) => {}
        () = copy(&mut from_server, &mut to_client, back) => {}
        _ = way.wait_for(|way| way.cuts != open.cuts) => {}
    }
}

async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut way: watch::Receiver<Way>,
) {
    let mut part = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut part).await {
        if way.wait_for(|way| !way.held).await.is_err() {
            return;
        }
        if to.write_all(&part[..read]).await.is_err() {
            return;
        }
    }
}
