//! Requests that are redirected: blobs are often kept elsewhere.
//!
//! Not left to the HTTP client, which does not say which address failed.

use reqwest::{
    Client, Method, Response, Url,
    header::{AUTHORIZATION, HeaderMap, LOCATION},
};

use super::RegistryError;

/// One request leads through so many addresses more at most.
const MAX_REDIRECTS: usize = 5;

/// Asks at `url`, and where that points to. Credentials are shown to its own origin only, and what is
/// asked over TLS is asked over TLS everywhere.
pub(super) async fn ask(
    client: &Client,
    method: &Method,
    url: &Url,
    mut headers: HeaderMap,
) -> Result<Response, RegistryError> {
    let mut at = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let is_own = at.origin() == url.origin();
        if !is_own {
            headers.remove(AUTHORIZATION);
        }
        let request = client.request(method.clone(), at.clone());
        let response = match request.headers(headers.clone()).send().await {
            Err(_) if !is_own => return Err(elsewhere()),
            sent => sent?,
        };
        let Some(next) = next(&response) else {
            return Ok(response);
        };
        if !may_follow(url, &next) {
            let message = "it redirects to what is not https".into();
            return Err(RegistryError::Unavailable(message));
        }
        at = next;
    }
    let message = "it redirects too often".into();
    Err(RegistryError::Unavailable(message))
}

/// What another address says stays untold: whoever named it may not be able to ask it.
pub(super) fn elsewhere() -> RegistryError {
    RegistryError::Unavailable("what it redirects to does not give it".into())
}

fn next(response: &Response) -> Option<Url> {
    let location = response
        .status()
        .is_redirection()
        .then(|| response.headers().get(LOCATION))??;
    response.url().join(location.to_str().ok()?).ok()
}

fn may_follow(first: &Url, next: &Url) -> bool {
    match next.scheme() {
        "https" => true,
        "http" => first.scheme() == "http",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_with_tls() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        let (tls, plain) = (url("https://a.example/"), url("http://b.example/"));
        assert!(may_follow(&tls, &tls));
        assert!(!may_follow(&tls, &plain));
        assert!(may_follow(&plain, &plain) && may_follow(&plain, &tls));
        assert!(!may_follow(&plain, &url("file:///etc/passwd")));
    }
}
