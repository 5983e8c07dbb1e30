//! The Postgres backend on a real server that is stopped, killed, frozen, filled and locked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../backend/mod.rs"]
mod backend;

mod bounds;
#[path = "../counts/mod.rs"]
mod counts;
mod disk_full;
mod failover;
mod kill;
mod outages;
mod place;
mod pooler;
#[path = "../proxy/mod.rs"]
mod proxy;
mod rotation;
mod schema;
mod sessions;
mod tls;

use std::{sync::Arc, time::Duration};

use backend::{postgres::options, server::Server};
use bytes::Bytes;
use shoal_stores::{
    Backend, Health, KeyValue, KeyValueError, Postgres, Reason, StoreId, StoreLimits,
};

/// Longest wait for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

fn limits() -> StoreLimits {
    StoreLimits::default()
}

/// A server with `settings`, or a loud word about why `test` is skipped.
async fn server(test: &str, settings: &[&str]) -> Option<Server> {
    match Server::start_with(settings).await {
        Ok(server) => Some(server),
        Err(why) => {
            shoal_skip::skipped(format_args!("{test}: {why}"));
            None
        }
    }
}

fn open(url: &str) -> Arc<Postgres> {
    Arc::new(Postgres::new(&options(url)).unwrap())
}

async fn set(
    stores: &Postgres,
    store: StoreId,
    key: &str,
    value: &str,
) -> Result<(), KeyValueError> {
    let pair = (key.to_owned(), Bytes::copy_from_slice(value.as_bytes()));
    stores.set(store, vec![pair], limits()).await
}

async fn get(stores: &Postgres, store: StoreId, key: &str) -> Result<Option<Bytes>, KeyValueError> {
    let values = stores.get(store, vec![key.to_owned()]).await?;
    Ok(values.into_iter().next().flatten())
}

async fn add(stores: &Postgres, store: StoreId, key: &str) -> Result<i64, KeyValueError> {
    stores.increment(store, key.to_owned(), 1, limits()).await
}

/// The reason of an unavailable store, which names nothing of `server`.
fn unavailable<T: std::fmt::Debug>(server: &Server, result: Result<T, KeyValueError>) -> String {
    let error = result.unwrap_err();
    let KeyValueError::Unavailable(reason) = error else {
        panic!("{error:?}");
    };
    assert_plain(server, &reason);
    reason
}

/// Why the class does not serve; `None`: it does.
async fn ill(server: &Server, stores: &Postgres) -> Option<Reason> {
    match stores.health().await {
        Health::Reachable => None,
        Health::Failing { reason, message } => {
            assert_plain(server, &message);
            Some(reason)
        }
    }
}

fn assert_plain(server: &Server, text: &str) {
    let port = server.port().to_string();
    let folder = server.folder().display().to_string();
    for secret in [
        "127.0.0.1",
        "localhost",
        "postgres",
        "shoal_",
        "role",
        port.as_str(),
        folder.as_str(),
    ] {
        assert!(!text.contains(secret), "{text}");
    }
}

/// Sessions of Shoal for which `condition` holds.
async fn sessions(server: &Server, condition: &str) -> i64 {
    let count = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shoal' AND {condition}"
    );
    server
        .admin()
        .await
        .query_one(&count, &[])
        .await
        .unwrap()
        .get(0)
}

/// Waits until `holds` does, which each of its looks may take seconds for.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let given_up = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < given_up, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until as many sessions of Shoal are such.
async fn until_sessions(server: &Server, condition: &str, count: i64) {
    let what = format!("{count} sessions {condition}");
    until(&what, async || sessions(server, condition).await == count).await;
}

/// Waits until the class is told to fail for a reason, or (`None`) to serve: a server that answers late is one that
/// cannot be reached, for a while.
async fn until_ill(server: &Server, stores: &Postgres, wanted: Option<Reason>) {
    let what = format!("the class is {wanted:?}");
    until(&what, async || ill(server, stores).await == wanted).await;
}

/// A session of Shoal that waits for a lock.
const LOCKED: &str = "wait_event_type = 'Lock'";
