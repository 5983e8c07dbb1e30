//! Backends of a `StoreClass`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where data is. Exactly one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.embedded), has(self.memory), has(self.postgres), \
        has(self.redis), has(self.s3)].filter(given, given).size() == 1")
        .message("exactly one of `embedded`, `memory`, `postgres`, `redis` and `s3` is required"),
    validation = Rule::new("has(self.embedded) == has(oldSelf.embedded) \
        && has(self.memory) == has(oldSelf.memory) \
        && has(self.postgres) == has(oldSelf.postgres) \
        && has(self.redis) == has(oldSelf.redis) \
        && has(self.s3) == has(oldSelf.s3)")
        .message("the kind of the backend cannot change: Stores of this class have their data \
                  there; make another StoreClass")
)]
pub struct Backend {
    /// The store pod's volume. Durable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "EmbeddedBackend")]
    pub embedded: Option<EmbeddedBackend>,

    /// The store pod's memory: every node sees the same, and it is lost with that pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "MemoryBackend")]
    pub memory: Option<MemoryBackend>,

    /// A Postgres database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PostgresBackend")]
    pub postgres: Option<PostgresBackend>,

    /// A Redis server or cluster, or one that speaks its protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RedisBackend")]
    pub redis: Option<RedisBackend>,

    /// A bucket of a server that speaks Amazon's S3 protocol. For objects alone (interface `Blob`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "S3Backend")]
    pub s3: Option<S3Backend>,
}

impl Backend {
    /// Its kind, as manifests write it; `None` where it is one that only a later version knows.
    pub fn kind(&self) -> Option<&'static str> {
        let kinds = [
            (self.embedded.is_some(), "embedded"),
            (self.memory.is_some(), "memory"),
            (self.postgres.is_some(), "postgres"),
            (self.redis.is_some(), "redis"),
            (self.s3.is_some(), "s3"),
        ];
        let given = kinds.into_iter().find(|(is_given, _)| *is_given);
        given.map(|(_, kind)| kind)
    }

    /// Whether the data is in Shoal's own store pod.
    pub fn is_in_store_pod(&self) -> bool {
        self.embedded.is_some() || self.memory.is_some()
    }
}

/// The store pod's volume. It has no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct EmbeddedBackend {}

/// The store pod's memory. It has no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct MemoryBackend {}

/// A Postgres database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.prefix == oldSelf.prefix")
    .message("`prefix` says where the data is and cannot change; make another StoreClass"))]
pub struct PostgresBackend {
    /// `postgres://user:password@host:port/database`, with the role whose tables hold the data. A
    /// changed Secret reaches the nodes by itself.
    pub url_from: UrlSource,

    /// How the server proves who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ConnectionTls>,

    /// Most connections of each node. Unset: the backend's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_connections: Option<i32>,

    /// First part of the tables' names: two clusters may share a database under two prefixes.
    #[serde(default = "default_prefix")]
    #[schemars(length(min = 1, max = 40), pattern(r"^[a-z][a-z0-9_]*$"))]
    pub prefix: String,
}

/// A Redis server or cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.prefix == oldSelf.prefix")
    .message("`prefix` says where the data is and cannot change; make another StoreClass"))]
pub struct RedisBackend {
    /// `redis://` or, with TLS, `rediss://user:password@host:port/database`. A changed Secret
    /// reaches the nodes by itself.
    pub url_from: UrlSource,

    /// How the server proves who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ConnectionTls>,

    /// Most connections of each node. Unset: the backend's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_connections: Option<i32>,

    /// First part of every key: two clusters may share a server under two prefixes.
    #[serde(default = "default_prefix")]
    #[schemars(length(min = 1, max = 64), pattern(r"^[A-Za-z0-9._-]+$"))]
    pub prefix: String,
}

/// A bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.bucket == oldSelf.bucket && self.prefix == oldSelf.prefix \
        && has(self.endpoint) == has(oldSelf.endpoint) \
        && (!has(self.endpoint) || self.endpoint == oldSelf.endpoint)")
    .message("`endpoint`, `bucket` and `prefix` say where the data is and cannot change; make another \
              StoreClass"))]
pub struct S3Backend {
    /// `https://` or `http://host[:port]` of the server. Unset: Amazon's own, in `region`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), pattern(r"^https?://[^/@?#]+$"))]
    pub endpoint: Option<String>,

    /// The bucket. It has to exist.
    #[schemars(length(min = 3, max = 63), pattern(r"^[a-z0-9][a-z0-9._-]*$"))]
    pub bucket: String,

    /// Its region. Servers other than Amazon's mostly take any.
    #[serde(default = "default_region")]
    #[schemars(length(min = 1, max = 64), pattern(r"^[a-z0-9-]+$"))]
    pub region: String,

    /// Who may use the bucket. A changed Secret reaches the nodes by itself.
    pub credentials_from: S3Credentials,

    /// How the server proves who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ConnectionTls>,

    /// First part of every key: two clusters may share a bucket under two prefixes.
    #[serde(default = "default_prefix")]
    #[schemars(length(min = 1, max = 64), pattern(r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    pub prefix: String,
}

/// Where keys of a bucket are read from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3Credentials {
    /// A Secret of Shoal's own namespace, with the keys `AWS_ACCESS_KEY_ID` and
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_ref: SecretReference,
}

impl S3Credentials {
    /// The Secret's key with the access key's id.
    pub fn access_key_id(&self) -> SecretKeySelector {
        self.key("AWS_ACCESS_KEY_ID")
    }

    /// The Secret's key with the access key itself.
    pub fn secret_access_key(&self) -> SecretKeySelector {
        self.key("AWS_SECRET_ACCESS_KEY")
    }

    fn key(&self, key: &str) -> SecretKeySelector {
        SecretKeySelector {
            name: self.secret_ref.name.clone(),
            key: key.to_owned(),
        }
    }
}

/// A Secret of Shoal's own namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Where an URL is read from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UrlSource {
    /// A key of a Secret of Shoal's own namespace.
    pub secret_key_ref: SecretKeySelector,
}

/// How a server proves who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionTls {
    /// Certificate authorities, in PEM, that the server's certificate is checked against, instead
    /// of the well-known ones.
    pub ca_from: CaSource,
}

/// Where certificate authorities are read from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaSource {
    /// A key of a Secret of Shoal's own namespace.
    pub secret_key_ref: SecretKeySelector,
}

/// One key of a Secret of Shoal's own namespace.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeySelector {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Key of its data.
    #[schemars(length(min = 1, max = 253), pattern(r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

fn default_prefix() -> String {
    "shoal".to_owned()
}
