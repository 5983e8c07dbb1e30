//! Where the server is, and how it is used.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use shoal_protocol::v1;

use super::cluster::Node;
use crate::PlaceId;

/// Longest prefix, in bytes.
const MAX_PREFIX: usize = 64;
/// Most connections that may be asked for.
const MAX_CONNECTIONS: usize = 1024;

/// Where the server is, and how it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisOptions {
    /// `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS. It is a secret: it is
    /// never logged, and no error holds a part of it.
    pub url: String,
    /// Certificates (PEM) of the authorities that may have signed the server's, with `rediss://`;
    /// `None`: those that this machine trusts.
    pub ca_pem: Option<Vec<u8>>,
    /// Connections open at once, 1 to 1024. They are opened as calls need them.
    pub max_connections: usize,
    /// What all names on the server begin with: 1 to 64 ASCII letters, digits, `-`, `_` or `.`. Two
    /// that differ share nothing, so that one server can serve several clusters.
    pub prefix: String,
    /// The place that the data is in: another one is not served, and nothing is made there. `None`: not known yet.
    pub place: Option<PlaceId>,
}

impl Default for RedisOptions {
    /// A server on this machine, without TLS; 8 connections; prefix `shoal`.
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379".to_owned(),
            ca_pem: None,
            max_connections: 8,
            prefix: "shoal".to_owned(),
            place: None,
        }
    }
}

impl From<v1::RedisBackend> for RedisOptions {
    /// What the message does not say is the default.
    fn from(message: v1::RedisBackend) -> Self {
        let mut options = Self {
            url: message.url,
            ca_pem: (!message.ca_pem.is_empty()).then(|| message.ca_pem.into_bytes()),
            ..Self::default()
        };
        if let Ok(connections @ 1..) = usize::try_from(message.max_connections) {
            options.max_connections = connections;
        }
        if !message.prefix.is_empty() {
            options.prefix = message.prefix;
        }
        options.place = PlaceId::recorded(&message.place);
        options
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("prefix", &self.prefix)
            .field("max_connections", &self.max_connections)
            .field("ca_pem", &self.ca_pem.is_some())
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// Why options cannot be used. The texts hold nothing of the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedisOptions {
    /// The URL is no URL of a server.
    #[error("the url is not of the form redis[s]://[user:password@]host[:port][/database]")]
    Url,
    /// The URL asks for TLS that trusts anybody.
    #[error("the url asks for TLS without verification (`#insecure`), which is not supported")]
    Insecure,
    /// The certificates of the authorities cannot be read.
    #[error("the CA is not a list of PEM certificates")]
    Ca,
    /// There is a CA, but no TLS that it could be used for.
    #[error("a CA is given, but the url is not rediss://")]
    CaWithoutTls,
    /// TLS without a CA, on a machine that trusts none.
    #[error("the url is rediss://, no CA is given, and this machine trusts none")]
    NoRoots,
    /// The number of connections is out of its range.
    #[error("maxConnections is {0}, and must be 1 to 1024")]
    Connections(usize),
    /// The prefix is empty, too long, or has other characters.
    #[error("the prefix must be 1 to 64 ASCII letters, digits, `-`, `_` or `.`")]
    Prefix,
    /// Another prefix is another set of data, which options of the same backend do not change to.
    #[error("the prefix cannot be changed: data under the old one would be out of sight")]
    PrefixChanged,
}

/// A server, as options describe it.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Option<Tls>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: i64,
}

/// How its certificate is checked.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) name: ServerName<'static>,
}

impl Server {
    /// Another server of the same cluster, for the same user. `None`: its host is no name for TLS.
    pub(crate) fn at(&self, node: &Node) -> Option<Self> {
        let mut other = self.clone();
        other.port = node.port;
        if let Some(host) = &node.host {
            other.host = host.clone();
            if let Some(tls) = &mut other.tls {
                tls.name = ServerName::try_from(host.clone()).ok()?;
            }
        }
        Some(other)
    }
}

impl RedisOptions {
    /// Checks everything that can be checked without the server.
    pub(crate) fn server(&self) -> Result<Server, InvalidRedisOptions> {
        if !(1..=MAX_CONNECTIONS).contains(&self.max_connections) {
            return Err(InvalidRedisOptions::Connections(self.max_connections));
        }
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        if !(1..=MAX_PREFIX).contains(&self.prefix.len()) || !self.prefix.bytes().all(plain) {
            return Err(InvalidRedisOptions::Prefix);
        }
        // Its errors quote parts of the URL.
        let client =
            ::redis::Client::open(self.url.as_str()).map_err(|_| InvalidRedisOptions::Url)?;
        let info = client.get_connection_info();
        let (host, port, tls) = match info.addr() {
            ::redis::ConnectionAddr::Tcp(_, _) if self.ca_pem.is_some() => {
                return Err(InvalidRedisOptions::CaWithoutTls);
            }
            ::redis::ConnectionAddr::Tcp(host, port) => (host, *port, None),
            ::redis::ConnectionAddr::TcpTls { insecure: true, .. } => {
                return Err(InvalidRedisOptions::Insecure);
            }
            ::redis::ConnectionAddr::TcpTls { host, port, .. } => {
                let name =
                    ServerName::try_from(host.clone()).map_err(|_| InvalidRedisOptions::Url)?;
                let config = tls_config(self.ca_pem.as_deref())?;
                (host, *port, Some(Tls { config, name }))
            }
            _ => return Err(InvalidRedisOptions::Url),
        };
        let login = info.redis_settings();
        Ok(Server {
            host: host.clone(),
            port,
            tls,
            user: login.username().map(str::to_owned),
            password: login.password().map(str::to_owned),
            database: login.db(),
        })
    }
}

fn tls_config(ca: Option<&[u8]>) -> Result<Arc<ClientConfig>, InvalidRedisOptions> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                certificate
                    .ok()
                    .and_then(|certificate| roots.add(certificate).ok())
                    .ok_or(InvalidRedisOptions::Ca)?;
            }
            if roots.is_empty() {
                return Err(InvalidRedisOptions::Ca);
            }
        }
        None => {
            // One of them that cannot be read is no reason to trust none.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(InvalidRedisOptions::NoRoots);
            }
        }
    }
    // Named, because a process may hold more than one provider.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| InvalidRedisOptions::Ca)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(url: &str) -> RedisOptions {
        RedisOptions {
            url: url.to_owned(),
            ..RedisOptions::default()
        }
    }

    #[test]
    fn a_url_says_where_who_and_which_database() {
        let server = with("redis://us%40er:p%3Ass@example.test:7000/3")
            .server()
            .ok()
            .unwrap();
        assert_eq!((server.host.as_str(), server.port), ("example.test", 7000));
        assert_eq!(server.user.as_deref(), Some("us@er"));
        assert_eq!(server.password.as_deref(), Some("p:ss"));
        assert_eq!(server.database, 3);
        assert!(server.tls.is_none());
        let server = with("redis://[::1]").server().ok().unwrap();
        assert_eq!((server.host.as_str(), server.port), ("::1", 6379));
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_quoting_the_url() {
        let refused = |options: RedisOptions| {
            let error = options.server().err().unwrap();
            assert!(!error.to_string().contains("hunter2"), "{error}");
            assert!(!format!("{error:?}{options:?}").contains("hunter2"));
            error
        };
        for url in [
            "",
            "hunter2",
            "http://:hunter2@example.test",
            "redis://:hunter2@",
            "redis://:hunter2@example.test/hunter2",
            "redis://example.test?protocol=hunter2",
            "redis+unix:///hunter2",
        ] {
            assert_eq!(refused(with(url)), InvalidRedisOptions::Url, "{url}");
        }
        assert_eq!(
            refused(with("rediss://:hunter2@example.test#insecure")),
            InvalidRedisOptions::Insecure
        );
        for ca in [
            "",
            "hunter2",
            "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----",
        ] {
            let mut options = with("rediss://example.test");
            options.ca_pem = Some(ca.into());
            assert_eq!(refused(options), InvalidRedisOptions::Ca);
        }
        let mut options = with("redis://example.test");
        options.ca_pem = Some(Vec::new());
        assert_eq!(refused(options), InvalidRedisOptions::CaWithoutTls);
        for prefix in ["", "a:b", "{a}", "a*", "ä", &"a".repeat(65)] {
            let mut options = with("redis://example.test");
            options.prefix = prefix.to_owned();
            assert_eq!(refused(options), InvalidRedisOptions::Prefix, "{prefix}");
        }
        for connections in [0, 1025] {
            let mut options = with("redis://example.test");
            options.max_connections = connections;
            assert!(matches!(
                refused(options),
                InvalidRedisOptions::Connections(_)
            ));
        }
    }
}
