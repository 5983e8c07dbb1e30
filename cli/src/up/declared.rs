//! StoreClasses and Stores beside the Apps of a manifest, and the classes as a node takes them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use shoal_crds::store_class::{ConnectionTls, SecretKeySelector};
use shoal_crds::{
    ByteQuantity, EMBEDDED_CLASS, Store, StoreClass, StoreClassLimits, StoreClassSpec, StoreSpec,
};
use shoal_runtime::stores::{ClassBackend, ClassDescription};
use shoal_stores::blob::s3::S3Options;
use shoal_stores::postgres::{PostgresOptions, Secret};
use shoal_stores::{RedisOptions, StoreLimits};

use super::fields;

/// What a manifest says of stores, and what that refers to.
#[derive(Clone, Default, PartialEq)]
pub struct Declared {
    pub(super) classes: BTreeMap<String, StoreClassSpec>,
    /// By namespace and name.
    pub(super) stores: BTreeMap<(String, String), StoreSpec>,
    /// Labels, by namespace.
    pub(super) namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// Values, by name. Classes name Secrets of Shoal's own namespace; here there is one for all.
    secrets: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
}

impl std::fmt::Debug for Declared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (classes, stores) = (self.classes.keys(), self.stores.keys());
        f.debug_tuple("Declared")
            .field(&classes.collect::<Vec<_>>())
            .field(&stores.collect::<Vec<_>>())
            .finish()
    }
}

impl Declared {
    /// Takes an object of the manifest in; `false`: it is none that says something of stores.
    ///
    /// # Errors
    /// It is one and is wrong; the message names the field, and no value of a Secret.
    pub fn add(&mut self, kind: &str, name: &str, document: &Value) -> Result<bool> {
        let namespace = document
            .pointer("/metadata/namespace")
            .and_then(Value::as_str);
        let key = || (namespace.unwrap_or("default").to_owned(), name.to_owned());
        match kind {
            "StoreClass" => {
                let class: StoreClass = object(kind, name, document)?;
                known_fields(kind, name, document, &class.spec)?;
                self.classes.insert(name.to_owned(), class.spec);
            }
            "Store" => {
                let store: Store = object(kind, name, document)?;
                known_fields(kind, name, document, &store.spec)?;
                ensure!(
                    store.spec.id.is_none(),
                    "Store {name}: spec.id is given by Shoal alone; leave it out"
                );
                self.stores.insert(key(), store.spec);
            }
            "Namespace" => {
                let labels = document.pointer("/metadata/labels");
                let labels = labels
                    .cloned()
                    .unwrap_or_else(|| Value::Object(Default::default()));
                let labels = serde_json::from_value(labels)
                    .with_context(|| format!("Namespace {name}: metadata.labels"))?;
                self.namespaces.insert(name.to_owned(), labels);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes a Secret in, whose values classes may name.
    pub fn add_secret(&mut self, name: &str, data: BTreeMap<String, Vec<u8>>) {
        self.secrets.insert(name.to_owned(), data);
    }

    /// The class as a node takes it.
    ///
    /// # Errors
    /// It is not in the manifest, or a Secret that it names is not.
    pub fn class(&self, name: &str) -> Result<ClassDescription> {
        let Some(spec) = self.classes.get(name) else {
            ensure!(
                name == EMBEDDED_CLASS,
                "StoreClass {name} is not in this manifest"
            );
            return Ok(ClassDescription::new(name, ClassBackend::Embedded));
        };
        let backend = self
            .backend(spec)
            .with_context(|| format!("StoreClass {name}"))?;
        let mut class = ClassDescription::new(name, backend);
        if let Some(limits) = &spec.limits {
            class.limits = store_limits(limits);
            if let Some(bytes) = &limits.value_bytes {
                class.object_bytes = bytes.bytes();
            }
            class.ops_per_second = limits
                .ops_per_second
                .and_then(|most| u32::try_from(most).ok())
                .and_then(NonZeroU32::new);
        }
        Ok(class)
    }

    /// Kind of a class's backend.
    pub fn backend_kind(&self, class: &str) -> &'static str {
        let class = self.classes.get(class);
        let kind = class.and_then(|class| class.backend.kind());
        kind.unwrap_or(EMBEDDED_CLASS)
    }

    fn backend(&self, spec: &StoreClassSpec) -> Result<ClassBackend> {
        let backend = &spec.backend;
        if let Some(postgres) = &backend.postgres {
            let url = self.text(&postgres.url_from.secret_key_ref)?;
            let mut options = PostgresOptions::new(Secret::new(url.trim()));
            options.ca_pem = self.authorities(postgres.tls.as_ref())?;
            options.prefix.clone_from(&postgres.prefix);
            if let Some(most) = postgres.max_connections {
                options.max_connections = u32::try_from(most).context("maxConnections")?;
            }
            return Ok(ClassBackend::Postgres(options));
        }
        if let Some(redis) = &backend.redis {
            let mut options = RedisOptions {
                url: self.text(&redis.url_from.secret_key_ref)?.trim().to_owned(),
                ca_pem: self.authorities(redis.tls.as_ref())?,
                prefix: redis.prefix.clone(),
                ..RedisOptions::default()
            };
            if let Some(most) = redis.max_connections {
                options.max_connections = usize::try_from(most).context("maxConnections")?;
            }
            return Ok(ClassBackend::Redis(options));
        }
        if let Some(s3) = &backend.s3 {
            let keys = &s3.credentials_from;
            let key =
                |key: &SecretKeySelector| Ok::<_, anyhow::Error>(self.text(key)?.trim().to_owned());
            return Ok(ClassBackend::S3(S3Options {
                endpoint: s3.endpoint.clone(),
                bucket: s3.bucket.clone(),
                region: s3.region.clone(),
                access_key_id: key(&keys.access_key_id())?,
                secret_access_key: key(&keys.secret_access_key())?,
                ca_pem: self.authorities(s3.tls.as_ref())?,
                prefix: s3.prefix.clone(),
            }));
        }
        match (&backend.embedded, &backend.memory) {
            (Some(_), None) => Ok(ClassBackend::Embedded),
            (None, Some(_)) => Ok(ClassBackend::Memory),
            _ => {
                bail!(
                    "spec.backend is to have exactly one of embedded, memory, postgres, redis and s3"
                )
            }
        }
    }

    fn authorities(&self, tls: Option<&ConnectionTls>) -> Result<Option<Vec<u8>>> {
        let pem = tls.map(|tls| self.text(&tls.ca_from.secret_key_ref));
        Ok(pem.transpose()?.map(String::into_bytes))
    }

    fn text(&self, SecretKeySelector { name, key }: &SecretKeySelector) -> Result<String> {
        let secret = self.secrets.get(name);
        let secret = secret.with_context(|| format!("Secret {name} is not in this manifest"))?;
        let value = secret
            .get(key)
            .with_context(|| format!("Secret {name} has no key {key}"))?;
        String::from_utf8(value.clone())
            .ok()
            .with_context(|| format!("Secret {name} has no text in key {key}"))
    }
}

fn object<T: serde::de::DeserializeOwned>(kind: &str, name: &str, document: &Value) -> Result<T> {
    let version = document.get("apiVersion").and_then(Value::as_str);
    let known = format!("{}/{}", shoal_crds::GROUP, shoal_crds::VERSION);
    ensure!(
        version == Some(known.as_str()),
        "{kind} {name}: apiVersion must be {known}"
    );
    serde_json::from_value(document.clone()).with_context(|| format!("{kind} {name}"))
}

fn known_fields(
    kind: &str,
    name: &str,
    document: &Value,
    spec: &impl serde::Serialize,
) -> Result<()> {
    let written = document.get("spec").unwrap_or(&Value::Null);
    match fields::unknown(written, &serde_json::to_value(spec)?, "spec") {
        Some(field) => bail!("{kind} {name}: there is no field {field}"),
        None => Ok(()),
    }
}

fn store_limits(limits: &StoreClassLimits) -> StoreLimits {
    let default = StoreLimits::default();
    let bytes = |size: &Option<ByteQuantity>| size.as_ref().map(ByteQuantity::bytes);
    StoreLimits {
        key_bytes: limits
            .key_bytes
            .and_then(|bytes| u64::try_from(bytes).ok())
            .unwrap_or(default.key_bytes),
        value_bytes: bytes(&limits.value_bytes).unwrap_or(default.value_bytes),
        keys: limits.keys.and_then(|keys| u64::try_from(keys).ok()),
        bytes: bytes(&limits.bytes),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::objects;
    use super::*;

    pub fn declared(yaml: &str) -> Declared {
        let mut declared = Declared::default();
        for document in shoal_crds::yaml::documents::<Value>(yaml).unwrap() {
            let kind = document["kind"].as_str().unwrap();
            let name = document["metadata"]["name"].as_str().unwrap();
            match objects::read(kind, &document).unwrap() {
                Some(secret) => declared.add_secret(&secret.name, secret.data),
                None => assert!(declared.add(kind, name, &document).unwrap(), "{document}"),
            }
        }
        declared
    }

    pub const OBJECTS: &str = "
{apiVersion: shoal.dev/v1alpha1, kind: StoreClass, metadata: {name: fast}, spec: {default: true, labels: [cache],
 backend: {memory: {}}, limits: {keys: 5, valueBytes: 2Ki, opsPerSecond: 9}}}
---
{apiVersion: shoal.dev/v1alpha1, kind: StoreClass, metadata: {name: team}, spec: {default: true, labels: ['*'],
 namespaceSelector: {matchLabels: {team: a}}, backend: {redis: {urlFrom: {secretKeyRef: {name: r, key: url}}}}}}
---
{apiVersion: v1, kind: Secret, metadata: {name: r, namespace: shoal-system}, stringData: {url: 'redis://u:s3cret@h'}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a}}}
---
{apiVersion: shoal.dev/v1alpha1, kind: Store, metadata: {name: shared}, spec: {app: cart, label: default, className: fast}}
";

    #[test]
    fn a_class_has_its_limits_and_its_credentials() {
        let declared = declared(OBJECTS);
        let fast = declared.class("fast").unwrap();
        assert_eq!((fast.limits.keys, fast.limits.value_bytes), (Some(5), 2048));
        assert_eq!(fast.limits.key_bytes, StoreLimits::default().key_bytes);
        assert_eq!(fast.ops_per_second, NonZeroU32::new(9));
        let ClassBackend::Redis(options) = declared.class("team").unwrap().backend else {
            panic!("no redis");
        };
        assert_eq!(options.url, "redis://u:s3cret@h");
        assert!(!format!("{declared:?}").contains("s3cret"));
        assert!(declared.class("none").is_err());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut declared = declared(OBJECTS);
        let class = serde_json::json!({"apiVersion": "shoal.dev/v1alpha1", "kind": "StoreClass",
            "metadata": {"name": "c"}, "spec": {"backend": {"memory": {}}, "lables": ["x"]}});
        let error = declared.add("StoreClass", "c", &class).unwrap_err();
        assert!(error.to_string().contains("spec.lables"), "{error}");
        declared.secrets.clear();
        let error = format!("{:#}", declared.class("team").unwrap_err());
        assert!(error.contains("Secret r"), "{error}");
    }
}
