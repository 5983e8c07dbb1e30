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
use jiff::Timestamp;
use parking_lot::Mutex;
use shoal_plan::Index;
use tokio::sync::watch;

use crate::metrics::Metrics;
use crate::world::World;

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Signs of life of the process's loops.
#[derive(Default)]
pub struct Health {
    loops: Mutex<BTreeMap<&'static str, (Instant, Duration)>>,
    warm: AtomicBool,
    heard: AtomicBool,
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

    fn look_for_reports(&self, world: &World, now: Timestamp) -> bool {
        let heard =
            |index: &mut Index| index.unheard_pods(now).is_empty() || now >= index.heard_by();
        let done = self.is_warm() && world.with(heard);
        self.heard.fetch_or(done, Ordering::AcqRel);
        done
    }

    /// Why this replica cannot take over yet; `None`: it can.
    fn unready(&self) -> Option<&'static str> {
        if !self.is_warm() {
            Some("waiting for the first lists from the API server")
        } else if !self.heard.load(Ordering::Acquire) {
            Some("waiting for the runtimes' reports")
        } else {
            None
        }
    }
}

/// Counts this replica as ready once the runtimes that were there when it started have reported, or had the time to:
/// until then a rollout leaves the replicas that know them alone. It stays ready from then on.
pub async fn follow_reports(health: Arc<Health>, world: Arc<World>) {
    while !health.look_for_reports(&world, Timestamp::now()) {
        tokio::time::sleep(LOOK_EVERY).await;
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
    match admin.health.unready() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
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

    fn pod(world: &World, uid: &str) {
        let pod: k8s_openapi::api::core::v1::Pod = serde_json::from_value(serde_json::json!({
            "metadata": {
                "name": uid, "uid": uid, "namespace": shoal_crds::SYSTEM_NAMESPACE,
                "labels": {"shoal.dev/pool": shoal_crds::DEFAULT_POOL},
            },
            "spec": {"nodeName": "node1", "containers": []},
        }))
        .unwrap();
        world.change(|index| index.apply(pod));
    }

    fn report(world: &World, uid: &str) {
        let hello = shoal_plan::Hello {
            engine_key: "engine".into(),
        };
        world.change(|index| index.runtime_hello(uid, hello));
        world.change(|index| index.runtime_report(uid, true, Vec::new(), &[]));
    }

    #[test]
    fn a_replica_is_ready_when_the_runtimes_have_reported() {
        let now = Timestamp::now();
        let (health, world) = (Health::default(), World::new(now));
        pod(&world, "a");
        pod(&world, "b");
        assert!(!health.look_for_reports(&world, now));
        assert!(health.unready().is_some_and(|why| why.contains("lists")));
        health.set_warm();
        report(&world, "a");
        assert!(!health.look_for_reports(&world, now));
        assert!(health.unready().is_some_and(|why| why.contains("reports")));
        report(&world, "b");
        assert!(health.look_for_reports(&world, now));
        assert_eq!(health.unready(), None);
    }

    #[test]
    fn a_replica_does_not_wait_for_ever_to_be_ready() {
        let now = Timestamp::now();
        let (health, world) = (Health::default(), World::new(now));
        pod(&world, "a");
        health.set_warm();
        assert!(!health.look_for_reports(&world, now));
        let later = now + jiff::SignedDuration::from_mins(2);
        assert!(health.look_for_reports(&world, later));
        assert_eq!(health.unready(), None);
    }
}
