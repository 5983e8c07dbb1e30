//! `/healthz`, `/readyz` and `/metrics`.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context;
use axum::{Router, extract::State, http::StatusCode, routing::get};
use shoal_protocol::LiveIdentity;
use shoal_stores::{Embedded, EmbeddedSql, housekeeping::Housekeeping, server::Operations};
use tokio::net::TcpListener;

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

    /// Ready: a certificate that is good now, and all threads there; the folder of the stores was opened before. How
    /// the disk does is no part of it: there is no other pod that calls could go to, and one whose disk is full still
    /// reads and deletes. Each class says that in its own health.
    fn ready(&self) -> Result<(), &'static str> {
        let inner = &self.inner;
        if inner.draining.load(Ordering::Relaxed) {
            return Err("shutting down");
        }
        if !inner.identity.is_usable() {
            return Err("no valid certificate yet: waiting for the operator");
        }
        self.alive()
    }

    /// Nothing is lost that only another process has.
    fn alive(&self) -> Result<(), &'static str> {
        let inner = &self.inner;
        let is_alive = inner.stores.is_alive() && inner.databases.is_alive();
        match is_alive && inner.housekeeping.is_alive() {
            true => Ok(()),
            false => Err("a thread or task of the stores has ended"),
        }
    }
}

async fn healthz(State(health): State<Health>) -> (StatusCode, String) {
    answer(health.alive())
}

async fn readyz(State(health): State<Health>) -> (StatusCode, String) {
    answer(health.ready())
}

fn answer(result: Result<(), &'static str>) -> (StatusCode, String) {
    match result {
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
