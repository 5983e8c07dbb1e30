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
