//! A server's name leads elsewhere all of a sudden: calls follow it, whatever the backend.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod backend;
mod proxy;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use backend::redis::redis_server::RedisServer;
use backend::{postgres::options, served::Served, server::Server};
use bytes::Bytes;
use proxy::Proxy;
use shoal_mounts::Apart;
use shoal_protocol::Role;
use shoal_stores::{
    KeyValue, KeyValueError, Postgres, Redis, RedisOptions, Remote, StoreId, StoreLimits,
};

/// What the child has in the place of `/etc/hosts`.
const HOSTS: &str = "SHOAL_TEST_MOVED_NAME_HOSTS";
const NAME: &str = "database.moved.test";
const BEFORE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const AFTER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn name_is(address: Ipv4Addr) {
    let hosts = std::env::var(HOSTS).unwrap();
    fs::write(hosts, format!("127.0.0.1 localhost\n{address} {NAME}\n")).unwrap();
}

/// Makes a call until it succeeds.
async fn again<T>(what: &str, mut call: impl AsyncFnMut() -> Result<T, KeyValueError>) -> T {
    let given_up = Instant::now() + Duration::from_secs(180);
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < given_up, "never: {what}: {error}"),
        }
    }
}

/// Opens stores at a name, moves the name, and looks for the data.
async fn follow(target: SocketAddr, store: StoreId, open: impl Fn(u16) -> Arc<dyn KeyValue>) {
    name_is(BEFORE);
    let before = Proxy::to(target).await;
    let port = before.address.port();
    let stores = open(port);
    let limits = StoreLimits::default();
    let pair = |value: &'static str| vec![("key".to_owned(), Bytes::from_static(value.as_bytes()))];
    let set = async || stores.set(store, pair("kept"), limits).await;
    again("it is written", set).await;

    let after = Proxy::at(SocketAddr::from((AFTER, port)), target).await;
    name_is(AFTER);
    drop(before);
    let key = || vec!["key".to_owned()];
    let value = again("it is found", async || stores.get(store, key()).await).await;
    assert_eq!(value, [Some(Bytes::from_static(b"kept"))]);
    let set = async || stores.set(store, pair("more"), limits).await;
    again("more is written", set).await;
    drop(after);
}

/// The child: has a table of hosts of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_whose_names_lead_elsewhere() {
    if std::env::var(HOSTS).is_err() {
        return;
    }
    let store = StoreId::random();
    match Server::start().await {
        Ok(server) => {
            let target = SocketAddr::from((BEFORE, server.port()));
            let open = |port| -> Arc<dyn KeyValue> {
                let url = format!("postgres://postgres@{NAME}:{port}/postgres?sslmode=disable");
                Arc::new(Postgres::new(&options(&url)).unwrap())
            };
            follow(target, store, open).await;
        }
        Err(why) => shoal_skip::skipped(format_args!("a moved Postgres: {why}")),
    }
    if let Some(server) = RedisServer::start(&[]).await {
        let target = SocketAddr::from((BEFORE, server.port));
        let open = |port| -> Arc<dyn KeyValue> {
            let options = RedisOptions {
                url: format!("redis://{NAME}:{port}"),
                ..RedisOptions::default()
            };
            Arc::new(Redis::new(&options).unwrap())
        };
        follow(target, store, open).await;
    }
    let served = Served::start(&[("pod", &[store])]);
    let identity = backend::served::identity(&served.ca, Role::Runtime, "pod");
    let open = |port| -> Arc<dyn KeyValue> {
        Arc::new(Remote::new(&format!("{NAME}:{port}"), &identity).unwrap())
    };
    follow(served.target.parse().unwrap(), store, open).await;
    println!("followed all of them");
}

#[test]
fn a_name_that_leads_elsewhere_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
    let apart = Apart {
        test: "child_whose_names_lead_elsewhere",
        mount: "mount --bind \"$1\" /etc/hosts",
        place: &hosts,
        environment: &[(HOSTS, &hosts)],
        as_root: true,
        word: "followed",
    };
    apart.run("a name that leads elsewhere");
}
