//! Which authorities a part trusts.

use std::sync::Arc;

use rustls::{
    RootCertStore,
    client::WebPkiServerVerifier,
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use crate::{TlsError, tls::provider};

/// Largest bundle that is read, in bytes.
pub(crate) const MAX_BUNDLE_BYTES: u64 = 1024 * 1024;
/// Most authorities in a bundle; a rotation needs two.
const MAX_AUTHORITIES: usize = 64;

/// The authorities of a bundle, and what verifies certificates against them.
#[derive(Debug)]
pub struct Trust {
    pem: String,
    pub(crate) server: Arc<WebPkiServerVerifier>,
    pub(crate) client: Arc<dyn ClientCertVerifier>,
}

impl Trust {
    /// Reads a bundle of PEM certificates.
    ///
    /// # Errors
    /// No certificate in it, more than 64, or one that is broken.
    pub fn from_pem(pem: &str) -> Result<Self, TlsError> {
        let broken = |what: String| TlsError::Bundle(what);
        let mut roots = RootCertStore::empty();
        for (index, certificate) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
            if index == MAX_AUTHORITIES {
                return Err(broken(format!("more than {MAX_AUTHORITIES} certificates")));
            }
            let certificate =
                certificate.map_err(|error| broken(format!("certificate {index}: {error}")))?;
            roots
                .add(certificate)
                .map_err(|error| broken(format!("certificate {index}: {error}")))?;
        }
        if roots.is_empty() {
            return Err(broken("no certificate in it".to_owned()));
        }
        let roots = Arc::new(roots);
        let server = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider())
            .build()
            .map_err(|error| broken(error.to_string()))?;
        let client = WebPkiClientVerifier::builder_with_provider(roots, provider())
            .build()
            .map_err(|error| broken(error.to_string()))?;
        Ok(Self {
            pem: pem.to_owned(),
            server,
            client,
        })
    }

    /// The bundle as it was read.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Whether one of the authorities signed this chain (leaf first), and it is valid now.
    pub(crate) fn accepts(&self, chain: &[CertificateDer<'static>]) -> bool {
        chain.split_first().is_some_and(|(leaf, rest)| {
            self.client
                .verify_client_cert(leaf, rest, UnixTime::now())
                .is_ok()
        })
    }
}
