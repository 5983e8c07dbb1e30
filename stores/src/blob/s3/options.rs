//! Where the bucket is, and who may use it.

use std::{fmt, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    client::{HttpClient, HttpConnector},
};
use reqwest::Url;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use shoal_protocol::v1;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Longest wait for the next bytes of an answer.
const SILENCE: Duration = Duration::from_secs(30);
/// Connections that are kept though nobody uses them.
const IDLE_CONNECTIONS: usize = 16;
/// They are closed after this time.
const IDLE: Duration = Duration::from_secs(60);
/// Longest prefix, in bytes.
const MAX_PREFIX: usize = 64;

/// See the module.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Options {
    /// `https://` or `http://host[:port]` of the server, whose buckets are asked for by path. `None`:
    /// Amazon's own, in `region`.
    pub endpoint: Option<String>,
    /// The bucket. It has to exist.
    pub bucket: String,
    /// Region of the bucket. Servers other than Amazon's mostly take any, `us-east-1` above all.
    pub region: String,
    /// Name of the key that requests are signed with. A secret, as the key is.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: String,
    /// Certificates (PEM) of the authorities that may have signed the server's; `None`: those that this
    /// machine trusts.
    pub ca_pem: Option<Vec<u8>>,
    /// What all keys begin with: 1 to 64 ASCII letters, digits, `-`, `_` or `.`, of which the first is a
    /// letter or digit. Two that differ share nothing, so that one bucket can serve several clusters.
    pub prefix: String,
}

impl fmt::Debug for S3Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Options")
            .field("bucket", &self.bucket)
            .field("region", &self.region)
            .field("prefix", &self.prefix)
            .field("ca_pem", &self.ca_pem.is_some())
            .finish_non_exhaustive()
    }
}

/// Why options cannot be used. The texts hold no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidS3Options {
    /// The endpoint is no URL of a server.
    #[error("the endpoint is not of the form http[s]://host[:port]")]
    Endpoint,
    /// There is no name of a bucket.
    #[error("the bucket has no name")]
    Bucket,
    /// The keys are missing.
    #[error("the credentials are empty: both the access key's id and the secret key are needed")]
    Credentials,
    /// The certificates of the authorities cannot be read.
    #[error("the CA is not a list of PEM certificates")]
    Ca,
    /// There is a CA, but no TLS that it could be used for.
    #[error("a CA is given, but the endpoint is not https://")]
    CaWithoutTls,
    /// The prefix is empty, too long, or has other characters.
    #[error(
        "the prefix must be 1 to 64 ASCII letters, digits, `-`, `_` or `.`, and begin with a letter or digit"
    )]
    Prefix,
    /// The client cannot be set up.
    #[error("the connection to the server cannot be set up")]
    Client,
    /// Another place is another set of data, which options of the same backend do not change to.
    #[error("endpoint, bucket and prefix cannot be changed: data would be out of sight")]
    PlaceChanged,
}

impl From<v1::S3Backend> for S3Options {
    fn from(message: v1::S3Backend) -> Self {
        let given = |text: String| (!text.is_empty()).then_some(text);
        Self {
            endpoint: given(message.endpoint),
            bucket: message.bucket,
            region: message.region,
            access_key_id: message.access_key_id,
            secret_access_key: message.secret_access_key,
            ca_pem: given(message.ca_pem).map(String::into_bytes),
            prefix: message.prefix,
        }
    }
}

impl S3Options {
    /// Whether data of the one is that of the other.
    pub fn is_same_place(&self, other: &Self) -> bool {
        (&self.endpoint, &self.bucket, &self.prefix)
            == (&other.endpoint, &other.bucket, &other.prefix)
    }

    /// Checks everything that can be checked without the server, and makes a client.
    pub(super) fn client(&self) -> Result<AmazonS3, InvalidS3Options> {
        let endpoint = self.endpoint()?;
        self.check()?;
        let is_plain = endpoint.as_ref().is_some_and(|url| url.scheme() == "http");
        if is_plain && self.ca_pem.is_some() {
            return Err(InvalidS3Options::CaWithoutTls);
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| InvalidS3Options::Client)?
            .with_root_certificates(self.roots()?)
            .with_no_client_auth();
        let builder = AmazonS3Builder::new()
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_access_key_id(&self.access_key_id)
            .with_secret_access_key(&self.secret_access_key)
            .with_allow_http(is_plain)
            .with_retry(retry())
            .with_http_connector(Connector(tls));
        let builder = match &endpoint {
            Some(endpoint) => builder.with_endpoint(endpoint.as_str().trim_end_matches('/')),
            None => builder,
        };
        builder.build().map_err(|_| InvalidS3Options::Client)
    }

    fn endpoint(&self) -> Result<Option<Url>, InvalidS3Options> {
        let Some(text) = &self.endpoint else {
            return Ok(None);
        };
        let url = Url::parse(text).map_err(|_| InvalidS3Options::Endpoint)?;
        let is_server = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        is_server
            .then_some(Some(url))
            .ok_or(InvalidS3Options::Endpoint)
    }

    fn check(&self) -> Result<(), InvalidS3Options> {
        if self.bucket.is_empty() || self.bucket.contains('/') {
            return Err(InvalidS3Options::Bucket);
        }
        if self.access_key_id.is_empty() || self.secret_access_key.is_empty() {
            return Err(InvalidS3Options::Credentials);
        }
        let prefix = self.prefix.as_bytes();
        let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        let starts_well = prefix.first().is_some_and(u8::is_ascii_alphanumeric);
        if !starts_well || prefix.len() > MAX_PREFIX || !prefix.iter().all(is_allowed) {
            return Err(InvalidS3Options::Prefix);
        }
        Ok(())
    }

    fn roots(&self) -> Result<RootCertStore, InvalidS3Options> {
        let mut roots = RootCertStore::empty();
        match &self.ca_pem {
            // A system without any cannot verify a server, which its connections then say.
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    let certificate = certificate.map_err(|_| InvalidS3Options::Ca)?;
                    roots.add(certificate).map_err(|_| InvalidS3Options::Ca)?;
                }
                if roots.is_empty() {
                    return Err(InvalidS3Options::Ca);
                }
            }
        }
        Ok(roots)
    }
}

/// A request that failed is made again while a guest can still wait for it.
fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(1),
            base: 2.0,
        },
        max_retries: 4,
        retry_timeout: Duration::from_secs(5),
    }
}

/// Makes the HTTP client: with the given authorities, and no proxy or redirect that would lead elsewhere.
#[derive(Debug)]
struct Connector(ClientConfig);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(self.0.clone())
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE)
            .build();
        client
            .map(HttpClient::new)
            .map_err(|error| object_store::Error::Generic {
                store: "S3",
                source: Box::new(error),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> S3Options {
        S3Options {
            endpoint: Some("http://127.0.0.1:9000".into()),
            bucket: "apps".into(),
            region: "us-east-1".into(),
            access_key_id: "AKID".into(),
            secret_access_key: "s3cr3t".into(),
            ca_pem: None,
            prefix: "shoal".into(),
        }
    }

    #[test]
    fn what_cannot_work_is_said_before_anything_is_asked() {
        assert!(options().client().is_ok());
        let refused = |change: fn(&mut S3Options)| {
            let mut options = options();
            change(&mut options);
            options.client().err()
        };
        for endpoint in [
            "",
            "localhost",
            "ftp://h",
            "http://u:p@h",
            "http://h/bucket",
            "http://h?x",
        ] {
            let mut options = options();
            options.endpoint = Some(endpoint.into());
            assert_eq!(
                options.client().err(),
                Some(InvalidS3Options::Endpoint),
                "{endpoint}"
            );
        }
        let bucket = refused(|options| options.bucket.clear());
        assert_eq!(bucket, Some(InvalidS3Options::Bucket));
        let keys = refused(|options| options.secret_access_key.clear());
        assert_eq!(keys, Some(InvalidS3Options::Credentials));
        for prefix in ["", "..", "a/b", "a b", &"x".repeat(65)] {
            let mut options = options();
            options.prefix = prefix.into();
            assert_eq!(options.client().err(), Some(InvalidS3Options::Prefix));
        }
        let ca = refused(|options| {
            options.endpoint = Some("https://h".into());
            options.ca_pem = Some(b"none".to_vec());
        });
        assert_eq!(ca, Some(InvalidS3Options::Ca));
        let plain = refused(|options| options.ca_pem = Some(b"none".to_vec()));
        assert_eq!(plain, Some(InvalidS3Options::CaWithoutTls));
        assert_eq!(refused(|options| options.endpoint = None), None);
    }

    #[test]
    fn credentials_are_not_shown() {
        let shown = format!("{:?}", options());
        for secret in ["AKID", "s3cr3t"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
