//! Whether the loops of this process still turn, and whether it knows the cluster yet.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::metrics::Metrics;

/// Signs of life of the process's loops.
#[derive(Default)]
pub struct Health {
    loops: Mutex<BTreeMap<&'static str, (Instant, Duration)>>,
    warm: AtomicBool,
}

impl Health {
    /// Says that the loop `name` turns; it is stuck when it does not say so again within `patience`.
    pub fn alive(&self, name: &'static str, patience: Duration) {
        self.loops.lock().insert(name, (Instant::now(), patience));
    }

    /// Loops that are stuck.
    pub fn stuck(&self, now: Instant) -> Vec<&'static str> {
        let loops = self.loops.lock();
        loops
            .iter()
            .filter(|(_, (last, patience))| now.duration_since(*last) > *patience)
            .map(|(name, _)| *name)
            .collect()
    }

    /// All first lists are in.
    pub fn set_warm(&self) {
        self.warm.store(true, Ordering::Release);
    }

    /// Whether all first lists are in.
    pub fn is_warm(&self) -> bool {
        self.warm.load(Ordering::Acquire)
    }
}

struct Admin {
    health: Arc<Health>,
    metrics: Arc<Metrics>,
}

/// Serves `/metrics`, `/healthz` and `/readyz` until `stop` becomes true.
///
/// # Errors
/// The address cannot be bound.
pub async fn serve(
    address: SocketAddr,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(metrics_page))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(Arc::new(Admin { health, metrics }));
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            let _ = stop.wait_for(|stop| *stop).await;
        })
        .await
}

async fn metrics_page(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], admin.metrics.render())
}

async fn healthz(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let stuck = admin.health.stuck(Instant::now());
    if stuck.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        let names = stuck.join(", ");
        (StatusCode::SERVICE_UNAVAILABLE, format!("stuck: {names}\n"))
    }
}

async fn readyz(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    if admin.health.is_warm() {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "waiting for the first lists from the API server\n",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_went_quiet_is_named() {
        let health = Health::default();
        health.alive("planner", Duration::from_secs(10));
        health.alive("lease", Duration::from_secs(60));
        assert!(health.stuck(Instant::now()).is_empty());
        let later = Instant::now() + Duration::from_secs(11);
        assert_eq!(health.stuck(later), ["planner"]);
    }
}
