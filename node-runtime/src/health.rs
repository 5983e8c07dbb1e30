//! `/metrics`, `/healthz` and `/readyz`.

use std::{io, sync::Arc};

use axum::{Router, http::StatusCode, http::header, response::IntoResponse, routing::get};
use tokio::net::TcpListener;

use crate::Node;

/// Answers on `listener` for as long as the future lives. `problem` says why the node is not ready,
/// or nothing where it is.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    node: Node,
    problem: impl Fn() -> Option<&'static str> + Send + Sync + 'static,
) -> io::Result<()> {
    let problem = Arc::new(problem);
    let ready = move || {
        let problem = problem();
        async move {
            match problem {
                None => (StatusCode::OK, "ready\n".to_owned()),
                Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")),
            }
        }
    };
    let metrics = move || {
        let text = node.metrics();
        async move {
            let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, format)], text).into_response()
        }
    };
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics));
    axum::serve(listener, router).await
}
