//! Reads what it was given, through `spin:variables@3.0.0`: `/v3/NAME`, as the guest `variables` does through the
//! other interfaces.

use spin_sdk::http::{IntoResponse, Request, Response, StatusCode};
use spin_sdk::http_service;
use spin_sdk::variables::{Error, get};

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    let path = request.uri().path().trim_matches('/');
    let segments: Vec<&str> = path.split('/').collect();
    let answer = match segments.as_slice() {
        ["v3", name] => value(name).await,
        _ => Err("no such path".to_owned()),
    };
    let (status, text) = match answer {
        Ok(value) => (StatusCode::OK, value),
        Err(error) => (StatusCode::NOT_FOUND, error),
    };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response
}

/// A value, or the name of the error that the interface has for it, with its text.
async fn value(name: &str) -> Result<String, String> {
    let name = name.replace("%20", " ");
    get(&name).await.map_err(|error| match error {
        Error::InvalidName(text) => format!("invalid-name: {text}"),
        Error::Undefined(text) => format!("undefined: {text}"),
        Error::Provider(text) => format!("provider: {text}"),
        Error::Other(text) => format!("other: {text}"),
    })
}
