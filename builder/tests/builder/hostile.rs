//! Registries that use the builder to ask what they cannot reach themselves.

use axum::{
    Router,
    http::{HeaderMap, StatusCode},
};
use shoal_artifact::{Reason, Refusal};
use shoal_builder::Source;

use crate::open;

/// A server that gives one answer to everything; its address.
async fn server(status: StatusCode, headers: HeaderMap) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = move || async move { (status, headers, "inside") };
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// What is told of a registry that answers with this, where `{}` is the address of something else.
async fn told(status: StatusCode, header: &'static str, value: &str, target: &str) -> Refusal {
    let folder = tempfile::tempdir().unwrap();
    let mut headers = HeaderMap::new();
    let value = value.replace("{}", target).parse().unwrap();
    headers.insert(header, value);
    let host = server(status, headers).await;
    let mut source = Source::public(format!("{host}/a:1"));
    source.insecure = vec![host];
    open(folder.path()).resolve(&source).await.unwrap_err()
}

/// Addresses of servers that answer in different ways, and of none.
async fn targets() -> [String; 3] {
    let answers = [StatusCode::IM_A_TEAPOT, StatusCode::NOT_FOUND];
    let [teapot, missing] = answers.map(|status| server(status, HeaderMap::new()));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = closed.local_addr().unwrap().to_string();
    [teapot.await, missing.await, closed]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_tells_nothing_of_what_is_there() {
    for target in targets().await {
        let status = StatusCode::TEMPORARY_REDIRECT;
        let refusal = told(status, "location", "http://{}/x", &target).await;
        assert_eq!(refusal.reason, Reason::RegistryUnavailable);
        let words = "what it redirects to does not give it";
        assert!(refusal.message.ends_with(words), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_service_tells_nothing_of_what_is_there() {
    for target in targets().await {
        let realm = "Bearer realm=\"http://{}/x\"";
        let status = StatusCode::UNAUTHORIZED;
        let refusal = told(status, "www-authenticate", realm, &target).await;
        assert_eq!(refusal.reason, Reason::RegistryUnavailable);
        let words = "its token service `127.0.0.1` gave no token";
        assert!(refusal.message.ends_with(words), "{refusal}");
    }
}
