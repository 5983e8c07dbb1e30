//! `/healthz`, `/readyz` and `/metrics`.

use std::io;

use axum::{Router, http::StatusCode, routing::get};
use tokio::net::TcpListener;

use crate::BuilderHandle;

/// Serves health and metrics on `listener` for as long as it is polled. `ready`: whether requests
/// can be answered now.
///
/// # Errors
/// The listener fails.
pub async fn serve_health(
    builder: BuilderHandle,
    listener: TcpListener,
    ready: impl Fn() -> bool + Clone + Send + Sync + 'static,
) -> io::Result<()> {
    let readyz = move || {
        let ready = ready.clone();
        async move {
            if ready() {
                (StatusCode::OK, "ready\n")
            } else {
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "no valid certificate yet\n",
                )
            }
        }
    };
    let metrics = move || {
        let text = builder.metrics().text();
        async move {
            (
                [(
                    "content-type",
                    "application/openmetrics-text; version=1.0.0",
                )],
                text,
            )
        }
    };
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics));
    axum::serve(listener, router).await
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;
    use crate::Options;

    #[tokio::test]
    async fn readiness_follows_its_condition_and_metrics_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let builder = BuilderHandle::open(Options::new(folder.path())).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ready = Arc::new(AtomicBool::new(false));
        let condition = ready.clone();
        let condition = move || condition.load(Ordering::SeqCst);
        tokio::spawn(serve_health(builder.clone(), listener, condition));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let get = async |path: &str| {
            let answer = reqwest::get(format!("http://{address}{path}"))
                .await
                .unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        assert_eq!(get("/healthz").await.0, 200);
        assert_eq!(get("/readyz").await.0, 503);
        ready.store(true, Ordering::SeqCst);
        assert_eq!(get("/readyz").await.0, 200);
        let source = crate::Source::public("NO/Reference");
        builder.resolve(&source).await.unwrap_err();
        let counted =
            "shoal_builder_requests_total{request=\"resolve\",outcome=\"InvalidImageReference\"} 1";
        let text = get("/metrics").await.1;
        assert!(text.contains(counted), "{text}");
    }
}
