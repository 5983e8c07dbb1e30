//! What is known of the API server as a proxy: who signs its certificate, and in which headers it names the user.
//!
//! It publishes both for extensions in the ConfigMap `extension-apiserver-authentication`
//! (<https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/>).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use parking_lot::RwLock;
use percent_encoding::percent_decode_str;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use tracing::warn;

use super::failure::Failure;
use super::user::User;
use crate::api_error::in_words;

const NAMESPACE: &str = "kube-system";
const CONFIG_MAP: &str = "extension-apiserver-authentication";
/// How soon a rotated authority is seen.
const READ_EVERY: Duration = Duration::from_secs(60);
const RETRY_EVERY: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// See the module. Nobody gets in before it was read.
#[derive(Debug)]
pub struct Front {
    provider: Arc<CryptoProvider>,
    settings: RwLock<Option<Arc<Settings>>>,
}

#[derive(Debug)]
struct Settings {
    verifier: Arc<dyn ClientCertVerifier>,
    /// Common names; empty: any.
    allowed_names: Vec<String>,
    user: Vec<String>,
    uid: Vec<String>,
    groups: Vec<String>,
    /// Prefixes.
    extra: Vec<String>,
}

impl Default for Front {
    fn default() -> Self {
        Self {
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            settings: RwLock::default(),
        }
    }
}

impl Front {
    /// Reads it again and again.
    pub async fn follow(self: Arc<Self>, client: kube::Client) {
        let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
        let mut told = String::new();
        loop {
            let mut pause = READ_EVERY;
            if let Err(problem) = self.read(&api).await {
                if told != problem {
                    warn!(problem, "the aggregated API may have no authority to trust");
                    told = problem;
                }
                pause = RETRY_EVERY;
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn read(&self, api: &Api<ConfigMap>) -> Result<(), String> {
        let read = tokio::time::timeout(REQUEST_TIMEOUT, api.get(CONFIG_MAP)).await;
        let map = read.map_err(|_| "the API server did not answer in time".to_owned())?;
        let map = map.map_err(|error| in_words(&error))?;
        self.set(&map.data.unwrap_or_default())
    }

    /// This is in the ConfigMap.
    pub(super) fn set(&self, data: &BTreeMap<String, String>) -> Result<(), String> {
        let settings = Settings::parse(data, &self.provider)?;
        *self.settings.write() = Some(Arc::new(settings));
        Ok(())
    }

    /// The user that a peer of this common name names.
    pub(super) fn user(&self, common_name: &str, headers: &HeaderMap) -> Result<User, Failure> {
        let settings = self.settings.read().clone();
        let unknown = || Failure::unauthorized("requests are taken from the API server alone");
        let settings = settings.ok_or_else(unknown)?;
        let allowed = &settings.allowed_names;
        if !allowed.is_empty() && !allowed.iter().any(|name| name == common_name) {
            return Err(unknown());
        }
        settings
            .user(headers)
            .ok_or_else(|| Failure::unauthorized("the API server names no user"))
    }

    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, Error> {
        let settings = self.settings.read();
        let settings = settings.as_ref().ok_or_else(|| {
            Error::General("no authority of the API server is known yet".to_owned())
        })?;
        Ok(settings.verifier.clone())
    }
}

impl Settings {
    fn parse(
        data: &BTreeMap<String, String>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let list = |key: &str| match data.get(key) {
            None => Ok(Vec::new()),
            Some(text) => serde_json::from_str::<Vec<String>>(text)
                .map_err(|error| format!("`{key}` of ConfigMap `{CONFIG_MAP}`: {error}")),
        };
        let authority = data.get("requestheader-client-ca-file").ok_or_else(|| {
            format!("ConfigMap `{CONFIG_MAP}` has no `requestheader-client-ca-file`: the API server does not aggregate")
        })?;
        Ok(Self {
            verifier: verifier(authority, provider)?,
            allowed_names: list("requestheader-allowed-names")?,
            user: list("requestheader-username-headers")?,
            uid: list("requestheader-uid-headers")?,
            groups: list("requestheader-group-headers")?,
            extra: list("requestheader-extra-headers-prefix")?,
        })
    }

    fn user(&self, headers: &HeaderMap) -> Option<User> {
        let values = |name: &String| {
            let values = headers.get_all(name).into_iter();
            values.filter_map(|value| Some(value.to_str().ok()?.to_owned()))
        };
        let first = |names: &[String]| {
            let mut found = names.iter().flat_map(values);
            found.find(|value| !value.is_empty())
        };
        let mut user = User {
            name: first(&self.user)?,
            uid: first(&self.uid),
            groups: self.groups.iter().flat_map(values).collect(),
            ..User::default()
        };
        for (name, value) in headers {
            let rest = |prefix: &String| {
                let lower = prefix.to_ascii_lowercase();
                name.as_str().strip_prefix(&lower)
            };
            let key = self.extra.iter().find_map(rest);
            if let (Some(key), Ok(value)) = (key, value.to_str()) {
                let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
                user.extra.entry(key).or_default().push(value.to_owned());
            }
        }
        Some(user)
    }
}

fn verifier(
    pem: &str,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let broken = |error: String| format!("the front-proxy authority cannot be used: {error}");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| broken(error.to_string()))?;
        let added = roots.add(certificate);
        added.map_err(|error| broken(error.to_string()))?;
    }
    let roots = Arc::new(roots);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build();
    verifier.map_err(|error| broken(error.to_string()))
}

impl ClientCertVerifier for Front {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verifier()?
            .verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;
    use shoal_protocol::CertificateAuthority;

    fn data() -> BTreeMap<String, String> {
        let ca = CertificateAuthority::generate().unwrap();
        let entry = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        BTreeMap::from([
            entry("requestheader-client-ca-file", ca.certificate_pem()),
            entry("requestheader-allowed-names", r#"["front-proxy-client"]"#),
            entry("requestheader-username-headers", r#"["X-Remote-User"]"#),
            entry("requestheader-uid-headers", r#"["X-Remote-Uid"]"#),
            entry("requestheader-group-headers", r#"["X-Remote-Group"]"#),
            entry(
                "requestheader-extra-headers-prefix",
                r#"["X-Remote-Extra-"]"#,
            ),
        ])
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        };
        let mut map = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            map.append(name, value);
        }
        map
    }

    #[test]
    fn the_user_is_who_the_headers_say() {
        let front = Front::default();
        front.set(&data()).unwrap();
        let headers = headers(&[
            ("X-Remote-User", "ada"),
            ("X-Remote-Uid", "42"),
            ("X-Remote-Group", "team-a"),
            ("X-Remote-Group", "system:authenticated"),
            ("X-Remote-Extra-example.com%2Fscopes", "read"),
            ("X-Remote-Extra-example.com%2Fscopes", "write"),
            ("X-Other", "ignored"),
        ]);
        let user = front.user("front-proxy-client", &headers).unwrap();
        let expected = User {
            name: "ada".to_owned(),
            uid: Some("42".to_owned()),
            groups: vec!["team-a".to_owned(), "system:authenticated".to_owned()],
            extra: BTreeMap::from([(
                "example.com/scopes".to_owned(),
                vec!["read".to_owned(), "write".to_owned()],
            )]),
        };
        assert_eq!(user, expected);
    }

    #[test]
    fn nobody_else_gets_in() {
        let (front, ada) = (Front::default(), headers(&[("X-Remote-User", "ada")]));
        assert!(front.user("front-proxy-client", &ada).is_err(), "not read");
        front.set(&data()).unwrap();
        assert!(front.user("front-proxy-client", &ada).is_ok());
        assert!(front.user("somebody", &ada).is_err());
        assert!(front.user("", &ada).is_err());
        let nameless = [headers(&[]), headers(&[("X-Remote-User", "")])];
        for headers in nameless {
            assert!(front.user("front-proxy-client", &headers).is_err());
        }
    }

    #[test]
    fn what_cannot_be_used_leaves_what_there_was() {
        let front = Front::default();
        front.set(&data()).unwrap();
        for (key, value) in [
            ("requestheader-client-ca-file", "no PEM"),
            ("requestheader-allowed-names", "front-proxy-client"),
        ] {
            let mut broken = data();
            broken.insert(key.to_owned(), value.to_owned());
            assert!(front.set(&broken).is_err(), "{key}");
        }
        assert!(front.set(&BTreeMap::new()).is_err());
        let ada = headers(&[("X-Remote-User", "ada")]);
        assert!(front.user("front-proxy-client", &ada).is_ok());
    }
}
