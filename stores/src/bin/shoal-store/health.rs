//! `/healthz`, `/readyz` and `/metrics`.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use axum::{Router, extract::State, http::StatusCode, routing::get};
use shoal_protocol::LiveIdentity;
use shoal_stores::{Embedded, EmbeddedSql, housekeeping::Housekeeping, server::Operations};
use tokio::{net::TcpListener, sync::Mutex};

/// A probe of the disk counts for this long, however often it is asked for.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// What the process knows of its own state.
#[derive(Clone)]
pub(crate) struct Health {
    inner: Arc<Inner>,
}

struct Inner {
    stores: Arc<Embedded>,
    databases: Arc<EmbeddedSql>,
    identity: LiveIdentity,
    operations: Arc<Operations>,
    housekeeping: Arc<Housekeeping>,
    draining: AtomicBool,
    probed: Mutex<Option<(Instant, Result<(), String>)>>,
}

/// Listens on the address of metrics and health.
pub(crate) fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listen = || {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    listen().with_context(|| format!("cannot listen on {address} (--metrics-address)"))
}

impl Health {
    pub(crate) fn new(
        stores: Arc<Embedded>,
        databases: Arc<EmbeddedSql>,
        identity: LiveIdentity,
        operations: Arc<Operations>,
        housekeeping: Arc<Housekeeping>,
    ) -> Self {
        let inner = Inner {
            stores,
            databases,
            identity,
            operations,
            housekeeping,
            draining: AtomicBool::new(false),
            probed: Mutex::new(None),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// From now on not ready.
    pub(crate) fn draining(&self) {
        self.inner.draining.store(true, Ordering::Relaxed);
    }

    /// Answers for as long as it is polled.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let router = Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(self);
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "metrics and health are no longer served");
        }
    }

    /// Ready: a certificate that is good now, and a disk that takes a durable write.
    async fn ready(&self) -> Result<(), String> {
        let inner = &self.inner;
        if inner.draining.load(Ordering::Relaxed) {
            return Err("shutting down".to_owned());
        }
        if !inner.identity.is_usable() {
            return Err("no valid certificate yet: waiting for the operator".to_owned());
        }
        let mut probed = inner.probed.lock().await;
        if let Some((at, result)) = &*probed
            && at.elapsed() < PROBE_EVERY
        {
            return result.clone();
        }
        let result = inner
            .stores
            .probe()
            .await
            .map_err(|error| error.to_string());
        *probed = Some((Instant::now(), result.clone()));
        result
    }
}

/// Healthy: nothing is lost that only another process has. A disk that is full or away is none of it.
async fn healthz(State(health): State<Health>) -> (StatusCode, &'static str) {
    let inner = &health.inner;
    let is_alive = inner.stores.is_alive() && inner.databases.is_alive();
    match is_alive && inner.housekeeping.is_alive() {
        true => (StatusCode::OK, "ok\n"),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            "a thread or task of the stores has ended\n",
        ),
    }
}

async fn readyz(State(health): State<Health>) -> (StatusCode, String) {
    match health.ready().await {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn metrics(State(health): State<Health>) -> String {
    let commits = health.inner.stores.commits();
    format!(
        "{}{}# HELP shoal_store_commits_total Commits of the embedded stores; a commit carries many writes.\n\
         # TYPE shoal_store_commits_total counter\n\
         shoal_store_commits_total {commits}\n",
        health.inner.operations.render(),
        health.inner.housekeeping.render(),
    )
}
