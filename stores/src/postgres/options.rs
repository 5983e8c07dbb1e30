//! What an administrator says of a database, and what is made of it.

use std::{fmt, time::Duration};

use shoal_protocol::v1;
use tokio_postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
};

use super::{
    connector::{CaError, Connector},
    statements::Statements,
};
use crate::PlaceId;

/// Longest prefix, in bytes: the database cuts longer names of tables, and two might become one.
const MAX_PREFIX_BYTES: usize = 40;
/// Most connections of one node.
const MAX_CONNECTIONS: u32 = 1000;
/// A host that does not answer is given up after this, unless the url says another time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes that were sent and not acknowledged for this long end a connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);
/// A connection that says nothing is asked by TCP after this, and that often.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// A text that holds credentials: it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Where the tables of a class are, and how they are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database?...` or `key=value` pairs, as libpq takes them.
    /// `sslmode` may be `disable`, `prefer` (the default), `require`, `verify-ca` or `verify-full`;
    /// whenever TLS is used, certificate and host name are verified.
    pub url: Secret,
    /// The only authorities that may vouch for the server, in PEM; given, TLS is required. Without,
    /// those that the system trusts.
    pub ca_pem: Option<Vec<u8>>,
    /// Most connections that this process holds at a time (1 to 1000).
    pub max_connections: u32,
    /// First part of the tables' names: lower-case letters, digits and `_`, a letter first, at most 40
    /// bytes. Classes and clusters that share a database have one each.
    pub prefix: String,
    /// The place that the data is in: another one is not served, and nothing is made there. `None`: not known yet.
    pub place: Option<PlaceId>,
}

impl From<v1::PostgresBackend> for PostgresOptions {
    /// What the message does not say is the default.
    fn from(message: v1::PostgresBackend) -> Self {
        let mut options = Self::new(Secret::new(message.url));
        options.ca_pem = (!message.ca_pem.is_empty()).then(|| message.ca_pem.into_bytes());
        if message.max_connections != 0 {
            options.max_connections = message.max_connections;
        }
        if !message.prefix.is_empty() {
            options.prefix = message.prefix;
        }
        options.place = PlaceId::recorded(&message.place);
        options
    }
}

impl PostgresOptions {
    /// Options with 10 connections, the prefix `shoal`, and the system's authorities.
    pub fn new(url: Secret) -> Self {
        Self {
            url,
            ca_pem: None,
            max_connections: 10,
            prefix: "shoal".to_owned(),
            place: None,
        }
    }
}

/// Why options cannot be used. The texts name no part of the url.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// The url is none.
    #[error(
        "the url is no connection string of Postgres, or has a parameter that is not known here"
    )]
    Url,
    /// The url names no host.
    #[error("the url names no host")]
    NoHost,
    /// Some hosts of the url are paths of sockets, and some are not.
    #[error("the url mixes hosts and paths of sockets")]
    MixedHosts,
    /// The prefix is no beginning of a table's name.
    #[error(
        "the prefix must be of lower-case letters, digits and `_`, begin with a letter, and have at \
         most {MAX_PREFIX_BYTES} bytes"
    )]
    Prefix,
    /// No connections, or too many.
    #[error("the connections of a node must be 1 to {MAX_CONNECTIONS}")]
    Connections,
    /// The authorities cannot be read.
    #[error("the authorities for TLS cannot be used: {0}")]
    Ca(#[from] CaError),
}

/// Options that were checked.
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) connector: Connector,
    pub(crate) max_connections: u32,
    pub(crate) statements: Statements,
}

impl PostgresOptions {
    pub(crate) fn check(&self) -> Result<Settings, OptionsError> {
        if !is_prefix(&self.prefix) {
            return Err(OptionsError::Prefix);
        }
        if !(1..=MAX_CONNECTIONS).contains(&self.max_connections) {
            return Err(OptionsError::Connections);
        }
        // What the parser says quotes the url.
        let mut config: Config = known_modes(&self.url.0)
            .parse()
            .map_err(|_| OptionsError::Url)?;
        let sockets = config
            .get_hosts()
            .iter()
            .filter(|host| is_socket(host))
            .count();
        let connector = match config.get_hosts().len() {
            0 => return Err(OptionsError::NoHost),
            hosts if sockets == hosts => {
                config.ssl_mode(SslMode::Disable);
                Connector::Plain
            }
            _ if sockets > 0 => return Err(OptionsError::MixedHosts),
            _ => match &self.ca_pem {
                Some(pem) => {
                    config.ssl_mode(SslMode::Require);
                    Connector::with_authorities(pem)?
                }
                None if config.get_ssl_mode() == SslMode::Disable => Connector::Plain,
                None => Connector::with_system_authorities()?,
            },
        };
        complete(&mut config);
        Ok(Settings {
            config,
            connector,
            max_connections: self.max_connections,
            statements: Statements::new(&self.prefix),
        })
    }
}

fn complete(config: &mut Config) {
    config.application_name("shoal");
    config.keepalives_idle(KEEPALIVE);
    config.keepalives_interval(KEEPALIVE);
    config.tcp_user_timeout(UNACKNOWLEDGED);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    // Of several hosts one is the primary; what the others hold may be old.
    if config.get_hosts().len() > 1 {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
}

fn is_prefix(text: &str) -> bool {
    text.len() <= MAX_PREFIX_BYTES
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn is_socket(host: &Host) -> bool {
    match host {
        Host::Tcp(_) => false,
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// `url` with the modes of TLS that verify called what the parser knows: here every mode verifies.
fn known_modes(url: &str) -> String {
    let separator = if url.contains("://") { '&' } else { ' ' };
    let rename = |parameter: &str| match parameter {
        "sslmode=verify-ca" | "sslmode=verify-full" => "sslmode=require".to_owned(),
        other => other.to_owned(),
    };
    let (head, parameters) = match url.rsplit_once('?') {
        Some((head, parameters)) if separator == '&' => (format!("{head}?"), parameters),
        _ if separator == '&' => return url.to_owned(),
        _ => (String::new(), url),
    };
    let parameters: Vec<_> = parameters.split(separator).map(rename).collect();
    head + &parameters.join(&separator.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> PostgresOptions {
        PostgresOptions::new(Secret::new(url))
    }

    #[test]
    fn nothing_that_is_printed_holds_a_part_of_the_url() {
        let mut bad = options("postgres://anna:hunter2@db.internal/x?nonsense=hunter2");
        assert!(!format!("{bad:?}").contains("hunter2"));
        let error = bad.check().err().unwrap();
        assert!(matches!(error, OptionsError::Url));
        for text in [format!("{error}"), format!("{error:?}")] {
            assert!(
                !text.contains("hunter2") && !text.contains("anna"),
                "{text}"
            );
        }
        bad.url = Secret::new("postgres://");
        assert!(matches!(bad.check(), Err(OptionsError::NoHost)));
    }

    #[test]
    fn a_prefix_is_a_plain_name() {
        let mut options = options("postgres://db/x?sslmode=disable");
        for good in ["a", "shoal", "team_2", &"p".repeat(40)] {
            options.prefix = (*good).to_owned();
            assert!(options.check().is_ok(), "{good}");
        }
        for bad in [
            "",
            "A",
            "1a",
            "_a",
            "a-b",
            "a b",
            "a\"",
            "a;",
            "é",
            "a.b",
            &"p".repeat(41),
        ] {
            options.prefix = (*bad).to_owned();
            assert!(
                matches!(options.check(), Err(OptionsError::Prefix)),
                "{bad}"
            );
        }
    }

    #[test]
    fn every_mode_that_uses_tls_verifies() {
        for url in [
            "postgres://db/x?sslmode=verify-full",
            "postgres://db/x?application_name=y&sslmode=verify-ca",
            "host=db dbname=x sslmode=verify-full",
        ] {
            let settings = options(url).check().unwrap();
            assert_eq!(settings.config.get_ssl_mode(), SslMode::Require, "{url}");
            assert!(matches!(settings.connector, Connector::Tls(_)));
        }
        let mut with_ca = options("postgres://db/x?sslmode=disable");
        with_ca.ca_pem = Some(b"no certificate".to_vec());
        assert!(matches!(with_ca.check(), Err(OptionsError::Ca(_))));
    }

    #[test]
    fn several_hosts_are_searched_for_the_primary() {
        let settings = options("postgres://a,b/x?sslmode=disable").check().unwrap();
        assert_eq!(
            settings.config.get_target_session_attrs(),
            TargetSessionAttrs::ReadWrite
        );
        let mixed = options("host=a,/run/postgresql dbname=x");
        assert!(matches!(mixed.check(), Err(OptionsError::MixedHosts)));
    }
}
