//! The certificate authority of the parts, shared by the replicas through a Secret.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use shoal_crds::FIELD_MANAGER;
use shoal_protocol::{
    CertificateAuthority, Identity, IssueError, LiveIdentity, Role, TlsError, Trust,
};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::lease::Leadership;
use crate::metrics::Metrics;

/// ConfigMap with the authority's certificate, for everyone.
pub const BUNDLE: &str = "shoal-ca-bundle";
/// Secret with the authority's certificate and key, for the operator alone.
pub const SECRET: &str = "shoal-ca";
const BUNDLE_KEY: &str = "ca.crt";
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
const CHECK_EVERY: Duration = Duration::from_secs(60);
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Why there is no certificate authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The API server refused, or did not answer.
    #[error("Secret `{SECRET}`: {0}")]
    Api(#[from] kube::Error),
    /// No answer.
    #[error("the API server did not answer within {} s", REQUEST_TIMEOUT.as_secs())]
    Timeout,
    /// The Secret is not what was written.
    #[error("Secret `{SECRET}` lacks `{0}`: delete it, and every part gets new certificates")]
    Incomplete(&'static str),
    /// The Secret's contents are of no use.
    #[error("Secret `{SECRET}` cannot be used (delete it for a new one): {0}")]
    Broken(#[from] IssueError),
    /// Our own certificate is of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The authority, and this replica's own certificate.
#[derive(Clone)]
pub struct Authority {
    /// Signs.
    pub ca: Arc<CertificateAuthority>,
    /// What this replica shows.
    pub identity: LiveIdentity,
}

/// Opens the authority; makes it if there is none. Whoever comes first makes it for all replicas.
///
/// # Errors
/// The API server does not answer, or the Secret is broken.
pub async fn open(client: &kube::Client, namespace: &str) -> Result<Authority, AuthorityError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = match timely(api.get_opt(SECRET)).await? {
        Some(secret) => secret,
        None => create(&api).await?,
    };
    let ca = read(&secret)?;
    let identity = LiveIdentity::new(Trust::from_pem(ca.certificate_pem())?);
    let authority = Authority {
        ca: Arc::new(ca),
        identity,
    };
    authority.renew()?;
    Ok(authority)
}

async fn create(api: &Api<Secret>) -> Result<Secret, AuthorityError> {
    let ca = CertificateAuthority::generate()?;
    let data = BTreeMap::from([
        (
            "tls.crt".to_owned(),
            ByteString(ca.certificate_pem().as_bytes().to_vec()),
        ),
        ("tls.key".to_owned(), ByteString(ca.key_pem().into_bytes())),
    ]);
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(SECRET.into()),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".into()),
        data: Some(data),
        ..Secret::default()
    };
    match timely(api.create(&PostParams::default(), &secret)).await {
        Ok(secret) => {
            info!("made the certificate authority of this installation");
            Ok(secret)
        }
        Err(AuthorityError::Api(kube::Error::Api(status))) if status.code == 409 => {
            timely(api.get(SECRET)).await
        }
        Err(error) => Err(error),
    }
}

fn read(secret: &Secret) -> Result<CertificateAuthority, AuthorityError> {
    let text = |key: &'static str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key));
        bytes
            .and_then(|bytes| std::str::from_utf8(&bytes.0).ok())
            .ok_or(AuthorityError::Incomplete(key))
    };
    Ok(CertificateAuthority::from_pem(
        text("tls.crt")?,
        text("tls.key")?,
    )?)
}

impl Authority {
    fn renew(&self) -> Result<(), AuthorityError> {
        let identity = Identity::new(Role::Operator, "", "", "");
        let identity = identity.map_err(|error| TlsError::Certificate(error.to_string()))?;
        let issued = self.ca.issue(&identity)?;
        Ok(self
            .identity
            .set_certificate(&issued.certificate_chain, &issued.key)?)
    }

    /// Renews this replica's certificate at half its life, for ever.
    pub async fn keep_certificate(&self) {
        loop {
            tokio::time::sleep(self.identity.renew_in().max(RETRY_EVERY)).await;
            if let Err(error) = self.renew() {
                warn!(%error, "the operator's own certificate was not renewed; trying again");
            }
        }
    }

    /// Keeps the bundle right while this replica leads.
    pub async fn keep_bundle(
        &self,
        client: kube::Client,
        namespace: String,
        leadership: Leadership,
        metrics: Arc<Metrics>,
    ) {
        let api: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let mut epoch: watch::Receiver<_> = leadership.watch();
        loop {
            let mut pause = CHECK_EVERY;
            if leadership.may_start(REQUEST_TIMEOUT).is_some()
                && let Err(error) = self.write_bundle(&api, &metrics).await
            {
                warn!(%error, "ConfigMap {BUNDLE} could not be checked");
                pause = RETRY_EVERY;
            }
            tokio::select! {
                changed = epoch.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn write_bundle(
        &self,
        api: &Api<ConfigMap>,
        metrics: &Metrics,
    ) -> Result<(), AuthorityError> {
        let wanted = self.ca.certificate_pem();
        let live = timely(api.get_opt(BUNDLE)).await?;
        let data = live.and_then(|map| map.data).unwrap_or_default();
        if data.get(BUNDLE_KEY).map(String::as_str) == Some(wanted) {
            return Ok(());
        }
        let map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": BUNDLE},
            "data": {BUNDLE_KEY: wanted},
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        timely(api.patch(BUNDLE, &parameters, &Patch::Apply(&map))).await?;
        metrics.wrote("ConfigMap", "patch");
        info!("ConfigMap {BUNDLE} written");
        Ok(())
    }
}

async fn timely<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, AuthorityError> {
    Ok(tokio::time::timeout(REQUEST_TIMEOUT, request)
        .await
        .map_err(|_| AuthorityError::Timeout)??)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(data: &[(&str, &str)]) -> Secret {
        let data = data
            .iter()
            .map(|(k, v)| ((*k).to_owned(), ByteString(v.as_bytes().to_vec())));
        Secret {
            data: Some(data.collect()),
            ..Secret::default()
        }
    }

    #[test]
    fn an_authority_is_read_back_from_its_secret() {
        let ca = CertificateAuthority::generate().unwrap();
        let secret = secret(&[
            ("tls.crt", ca.certificate_pem()),
            ("tls.key", &ca.key_pem()),
        ]);
        assert_eq!(
            read(&secret).unwrap().certificate_pem(),
            ca.certificate_pem()
        );
    }

    #[test]
    fn a_secret_without_its_key_is_refused_by_name() {
        let ca = CertificateAuthority::generate().unwrap();
        let error = read(&secret(&[("tls.crt", ca.certificate_pem())]))
            .err()
            .unwrap();
        assert!(error.to_string().contains("tls.key"), "{error}");
    }
}
