//! How one connection is made: with TLS under the right authorities, or plain where that was chosen.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::task::JoinHandle;
use tokio_postgres::{CancelToken, Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Why authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// There is none in the PEM text, or a broken one.
    #[error("no certificate in it, or one that is broken")]
    Pem,
    /// TLS cannot be set up at all.
    #[error("{0}")]
    Tls(rustls::Error),
}

/// See the module.
#[derive(Clone)]
pub(crate) enum Connector {
    Plain,
    Tls(MakeRustlsConnect),
}

impl Connector {
    pub(crate) fn with_authorities(pem: &[u8]) -> Result<Self, CaError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| CaError::Pem)?;
            roots.add(certificate).map_err(|_| CaError::Pem)?;
        }
        if roots.is_empty() {
            return Err(CaError::Pem);
        }
        Self::tls(roots)
    }

    /// Reads the system's authorities from the disk. A system without any cannot verify a server, which
    /// its connections then say.
    pub(crate) fn with_system_authorities() -> Result<Self, CaError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::tls(roots)
    }

    fn tls(roots: RootCertStore) -> Result<Self, CaError> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(CaError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::Tls(MakeRustlsConnect::new(config)))
    }

    /// Asks the server to end what a connection does.
    pub(crate) async fn cancel(self, token: CancelToken) {
        // It fails where the server is gone, and the call with it.
        let _ = match self {
            Self::Plain => token.cancel_query(NoTls).await,
            Self::Tls(tls) => token.cancel_query(tls).await,
        };
    }

    pub(crate) async fn open(self, config: Config) -> Result<(Client, JoinHandle<()>), Error> {
        // What ends a connection is seen by the call that it ends; its text may name users and hosts.
        match self {
            Self::Plain => {
                let (client, connection) = config.connect(NoTls).await?;
                Ok((client, tokio::spawn(async { drop(connection.await) })))
            }
            Self::Tls(tls) => {
                let (client, connection) = config.connect(tls).await?;
                Ok((client, tokio::spawn(async { drop(connection.await) })))
            }
        }
    }
}
