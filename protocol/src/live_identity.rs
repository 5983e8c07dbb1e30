//! A part's key, certificate and trusted authorities, as they are now.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::{
    ClientConfig, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::danger::ClientCertVerifier,
    sign::CertifiedKey,
};
use tokio::sync::watch;

use crate::{Identity, Trust, leaf::Leaf, tls};

/// Longest chain that is taken.
const MAX_CHAIN: usize = 4;

/// Why certificates could not be read or used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The bundle of authorities is of no use.
    #[error("the bundle of certificate authorities cannot be used: {0}")]
    Bundle(String),
    /// A certificate is of no use.
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
    /// TLS itself cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

/// Whether a server demands a certificate of its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// A client may come without one (to ask for its first); one that is shown must be good.
    Optional,
    /// No connection without a good one.
    Required,
}

/// Key, certificate and trusted authorities of this part. Clones share one state: what is set here is
/// used by every connection made from then on.
#[derive(Clone, Debug)]
pub struct LiveIdentity {
    shared: Arc<Shared>,
}

/// What the handshakes of this part look up.
#[derive(Debug)]
pub(crate) struct Shared {
    held: ArcSwapOption<Held>,
    trust: ArcSwap<Trust>,
    changed: watch::Sender<u64>,
}

/// A certificate that is in use.
#[derive(Debug)]
struct Held {
    key: Arc<CertifiedKey>,
    identity: Identity,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl Shared {
    pub(crate) fn certified_key(&self) -> Option<Arc<CertifiedKey>> {
        self.held.load().as_ref().map(|held| held.key.clone())
    }

    pub(crate) fn trust(&self) -> Arc<Trust> {
        self.trust.load_full()
    }
}

impl LiveIdentity {
    /// Trusts these authorities; has no certificate yet.
    pub fn new(trust: Trust) -> Self {
        Self::trusting(Arc::new(trust))
    }

    /// Trusts what this trusts now, and has no certificate. What changes later is not shared.
    pub(crate) fn without_certificate(&self) -> Self {
        Self::trusting(self.trust())
    }

    fn trusting(trust: Arc<Trust>) -> Self {
        let shared = Shared {
            held: ArcSwapOption::empty(),
            trust: ArcSwap::new(trust),
            changed: watch::Sender::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Uses this certificate (PEM, leaf first) with its private key (PEM) from now on.
    ///
    /// # Errors
    /// Anything broken in them, a key that does not fit, or a leaf that names no [`Identity`]. What was
    /// used before stays.
    pub fn set_certificate(&self, chain_pem: &str, key_pem: &str) -> Result<(), TlsError> {
        let broken = |what: String| TlsError::Certificate(what);
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
            .take(MAX_CHAIN + 1)
            .collect::<Result<_, _>>()
            .map_err(|error| broken(error.to_string()))?;
        if chain.len() > MAX_CHAIN {
            return Err(broken(format!("its chain is longer than {MAX_CHAIN}")));
        }
        let leaf = chain
            .first()
            .ok_or_else(|| broken("there is none".to_owned()))?;
        let Leaf {
            identity,
            not_before,
            not_after,
        } = Leaf::parse(leaf)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
            .map_err(|error| broken(format!("its private key: {error}")))?;
        let key = Arc::new(CertifiedKey::from_der(chain, key, &tls::provider())?);
        self.shared.held.store(Some(Arc::new(Held {
            key,
            identity,
            not_before,
            not_after,
        })));
        self.notify();
        Ok(())
    }

    /// Trusts these authorities, and only these, from now on.
    pub fn set_trust(&self, trust: Trust) {
        self.shared.trust.store(Arc::new(trust));
        self.notify();
    }

    fn notify(&self) {
        self.shared
            .changed
            .send_modify(|version| *version = version.wrapping_add(1));
    }

    /// The authorities that are trusted now.
    pub fn trust(&self) -> Arc<Trust> {
        self.shared.trust()
    }

    /// Who this part is, once it has a certificate.
    pub fn identity(&self) -> Option<Identity> {
        self.shared
            .held
            .load()
            .as_ref()
            .map(|held| held.identity.clone())
    }

    /// Until when the certificate is valid.
    pub fn not_after(&self) -> Option<SystemTime> {
        self.shared.held.load().as_ref().map(|held| held.not_after)
    }

    /// Whether there is a certificate that is valid now and that a trusted authority signed.
    pub fn is_usable(&self) -> bool {
        let trust = self.shared.trust();
        self.shared
            .certified_key()
            .is_some_and(|key| trust.accepts(&key.cert))
    }

    /// How long the certificate is good for until it should be renewed (half its life); zero where
    /// there is none that is usable.
    pub fn renew_in(&self) -> Duration {
        if !self.is_usable() {
            return Duration::ZERO;
        }
        let held = self.shared.held.load();
        let Some(held) = held.as_ref() else {
            return Duration::ZERO;
        };
        let life = held
            .not_after
            .duration_since(held.not_before)
            .unwrap_or_default();
        let due = held
            .not_before
            .checked_add(life / 2)
            .unwrap_or(held.not_before);
        due.duration_since(SystemTime::now()).unwrap_or_default()
    }

    /// Waits until certificate or authorities change.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    /// Waits until there is a usable certificate, and says whose.
    pub async fn ready(&self) -> Identity {
        let mut changes = self.watch();
        loop {
            changes.borrow_and_update();
            if let Some(identity) = self.identity().filter(|_| self.is_usable()) {
                return identity;
            }
            // The sender lives in `self`, so this only ends with a change.
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// TLS of a client that is this part.
    ///
    /// # Errors
    /// The cryptography of this build does not do TLS 1.3.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        Ok(Arc::new(tls::client_config(self.shared.clone())?))
    }

    /// TLS of a server that is this part.
    ///
    /// # Errors
    /// The cryptography of this build does not do TLS 1.3.
    pub fn server_config(&self, auth: ClientAuth) -> Result<Arc<ServerConfig>, TlsError> {
        Ok(Arc::new(tls::server_config(self.shared.clone(), auth)?))
    }

    /// TLS of a server that is this part, for HTTP/1.1 with clients whose certificates `verifier` judges.
    ///
    /// # Errors
    /// The cryptography of this build does not do TLS 1.3.
    pub fn foreign_server_config(
        &self,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let config = tls::foreign_server_config(self.shared.clone(), verifier)?;
        Ok(Arc::new(config))
    }
}
