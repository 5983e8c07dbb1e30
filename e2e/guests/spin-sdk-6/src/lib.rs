//! What `spin new` made with version 4.0: `wasi:http/handler` of the release candidate of WASI 0.3, and
//! `spin:key-value@3.0.0`.
//!
//! `/count` counts its requests; otherwise the body comes back.

use spin_sdk::http::{Error as HttpError, IntoResponse, Request, Response};
use spin_sdk::http_service;
use spin_sdk::key_value::{Error, Store};

#[http_service]
async fn answer(request: Request) -> Result<impl IntoResponse, HttpError> {
    if request.uri().path() == "/count" {
        let count = count()
            .await
            .map_err(|error| HttpError::other(format!("{error:?}")))?;
        return Ok(Response::new(count).into_response()?);
    }
    Ok(Response::new(request.into_body()).into_response()?)
}

async fn count() -> Result<String, Error> {
    let store = Store::open_default().await?;
    let before = match store.get("count").await? {
        Some(text) => String::from_utf8_lossy(&text).parse().unwrap_or(0_u64),
        None => 0,
    };
    let now = (before + 1).to_string();
    store.set("count", now.as_bytes()).await?;
    Ok(now)
}
