//! Tokens, where a registry wants one, and what they are asked for with.

use reqwest::{
    Method, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};
use serde::Deserialize;

use super::{Login, RegistryError, Session, follow, is_refusal, read_bounded};

const TOKEN_BYTES: u64 = 1 << 20;

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

impl Session {
    /// A token of the service at `realm`; `None`: it refused the login.
    pub(super) async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        login: Option<&Login>,
    ) -> Result<Option<String>, RegistryError> {
        let mut url = token_url(self.scheme, realm)?;
        url.query_pairs_mut()
            .append_pair(
                "scope",
                &format!("repository:{}:pull", self.image.repository()),
            )
            .extend_pairs(service.map(|service| ("service", service)));
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut headers = HeaderMap::new();
        if let Some(login) = login {
            let mut value =
                HeaderValue::try_from(basic(login)).map_err(|_| RegistryError::Unauthorized)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        // Who names a realm learns no more of what is there than that it gave no token.
        let none = |host: &str, why: &dyn std::fmt::Display| {
            tracing::info!(registry = self.image.registry(), host, %why, "no token");
            RegistryError::Unavailable(format!("its token service `{host}` gave no token"))
        };
        let asked = follow::ask(&self.client, &Method::GET, &url, headers).await;
        let response = asked.map_err(|error| none(&host, &error))?;
        let status = response.status();
        if is_refusal(status) || status == StatusCode::BAD_REQUEST {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(none(&host, &status));
        }
        let token = read_bounded(response, TOKEN_BYTES, "the token").await;
        let token = token.map_err(|error| none(&host, &error))?;
        let token: Token = serde_json::from_slice(&token).map_err(|error| none(&host, &error))?;
        Ok(Some(if token.token.is_empty() {
            token.access_token
        } else {
            token.token
        }))
    }
}

/// The URL of a token service. Credentials go there: to a registry that is spoken to over TLS they
/// are shown over TLS only.
fn token_url(scheme: &str, realm: &str) -> Result<Url, RegistryError> {
    let shown: String = realm.chars().take(200).collect();
    let refuse = |problem: &str| {
        let message = format!("its token URL `{shown}` {problem}");
        Err(RegistryError::Unavailable(message))
    };
    match realm.parse::<Url>() {
        Ok(url) if url.scheme() == "https" => Ok(url),
        Ok(url) if url.scheme() == "http" && scheme == "http" => Ok(url),
        Ok(_) => refuse("is not https"),
        Err(_) => refuse("is none"),
    }
}

pub(super) fn basic(login: &Login) -> String {
    use base64::Engine as _;
    let text = format!("{}:{}", login.user, login.password);
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(text)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_over_tls_gets_its_tokens_over_tls() {
        let token = |scheme, realm| token_url(scheme, realm).is_ok();
        assert!(token("https", "https://auth.example/token"));
        assert!(!token("https", "http://auth.example/token"));
        assert!(token("http", "http://auth.example/token"));
        assert!(token("http", "https://auth.example/token"));
        for realm in ["file:///etc/passwd", "ftp://a.example", "token", ""] {
            assert!(!token("http", realm), "{realm}");
        }
    }
}
