//! HTTP clients, one for each set of trusted certificate authorities. They know no credentials, and follow no
//! redirect by themselves.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use shoal_artifact::Digest;

use super::RegistryError;

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Longest silence within an answer.
const READ_DEADLINE: Duration = Duration::from_secs(20);
/// Largest set of extra authorities, in bytes.
const MAX_CA_BYTES: usize = 1 << 20;
/// Sets of authorities at once: one for each pool.
const MAX_CLIENTS: usize = 64;

/// Clients that are kept for reuse of their connections.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    clients: Arc<Mutex<HashMap<Option<Digest>, reqwest::Client>>>,
}

impl Clients {
    /// The client that trusts the machine's authorities and those of `ca` (PEM, may be empty).
    ///
    /// # Errors
    /// `ca` is not valid.
    pub fn get(&self, ca: &str) -> Result<reqwest::Client, RegistryError> {
        let key = (!ca.trim().is_empty()).then(|| Digest::of(ca.as_bytes()));
        if let Some(client) = self.clients.lock().get(&key) {
            return Ok(client.clone());
        }
        let client = build(ca)?;
        let mut clients = self.clients.lock();
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }
}

fn build(ca: &str) -> Result<reqwest::Client, RegistryError> {
    // Only the first caller in a process sets it; whoever came before chose the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let invalid = |problem: String| RegistryError::InvalidCa(problem);
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("shoal/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_DEADLINE)
        .read_timeout(READ_DEADLINE)
        .pool_idle_timeout(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::none());
    if ca.len() > MAX_CA_BYTES {
        return Err(invalid("it is larger than 1 MiB".into()));
    }
    if !ca.trim().is_empty() {
        let certificates = reqwest::Certificate::from_pem_bundle(ca.as_bytes())
            .map_err(|error| invalid(error.to_string()))?;
        if certificates.is_empty() {
            return Err(invalid("it holds no certificate".into()));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| {
        // Certificates are parsed only now.
        if ca.trim().is_empty() {
            RegistryError::Unavailable(format!("no HTTP client: {error}"))
        } else {
            invalid(error.to_string())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_shared_and_wrong_authorities_refused() {
        let clients = Clients::default();
        clients.get("").unwrap();
        clients.get(" \n").unwrap();
        assert_eq!(clients.clients.lock().len(), 1);
        for ca in [
            "no pem",
            "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
        ] {
            assert!(
                matches!(clients.get(ca), Err(RegistryError::InvalidCa(_))),
                "{ca}"
            );
        }
    }
}
