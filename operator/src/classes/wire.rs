//! A StoreClass and its Secrets as the message of `app.proto`.

use shoal_crds::store_class::{ConnectionTls, SecretKeySelector};
use shoal_crds::{Backend, Reason, StoreClassLimits, StoreClassSpec};
use shoal_plan::CredentialFault;
use shoal_protocol::v1;
use shoal_protocol::v1::store_class::Backend as Wire;

/// Longest text of a key that is read.
const MOST_BYTES: usize = 256 * 1024;

/// What a Secret is found to hold.
pub(super) trait Secrets {
    /// The text of a key.
    fn text(&self, from: &SecretKeySelector) -> Result<String, CredentialFault>;
}

/// The keys that a class needs.
pub(super) fn needs(backend: &Backend) -> Vec<SecretKeySelector> {
    if let Some(one) = &backend.s3 {
        let keys = &one.credentials_from;
        let ca = one.tls.iter().map(|tls| tls.ca_from.secret_key_ref.clone());
        return [keys.access_key_id(), keys.secret_access_key()]
            .into_iter()
            .chain(ca)
            .collect();
    }
    let remote = backend
        .postgres
        .as_ref()
        .map(|one| (&one.url_from, one.tls.as_ref()));
    let remote = remote.or(backend
        .redis
        .as_ref()
        .map(|one| (&one.url_from, one.tls.as_ref())));
    let Some((url, tls)) = remote else {
        return Vec::new();
    };
    let ca = tls.map(|tls| &tls.ca_from.secret_key_ref);
    std::iter::once(&url.secret_key_ref)
        .chain(ca)
        .cloned()
        .collect()
}

/// The message, of a class whose data is in `place`.
///
/// # Errors
/// A credential is not there, or the backend is of a kind that a later version brought.
pub(super) fn message(
    name: &str,
    spec: &StoreClassSpec,
    place: Option<&str>,
    secrets: &impl Secrets,
) -> Result<v1::StoreClass, CredentialFault> {
    let limits = spec.limits.as_ref();
    Ok(v1::StoreClass {
        name: name.to_owned(),
        backend: Some(backend(&spec.backend, place, secrets)?),
        limits: limits.map(store_limits),
        ops_per_second: limits.map_or(0, |limits| number(limits.ops_per_second)),
    })
}

fn backend(
    backend: &Backend,
    place: Option<&str>,
    secrets: &impl Secrets,
) -> Result<Wire, CredentialFault> {
    let place = place.unwrap_or_default().to_owned();
    let url = |from: &SecretKeySelector| secrets.text(from).map(|url| url.trim().to_owned());
    let ca = |tls: &Option<ConnectionTls>| match tls {
        Some(tls) => secrets.text(&tls.ca_from.secret_key_ref),
        None => Ok(String::new()),
    };
    if let Some(one) = &backend.postgres {
        return Ok(Wire::Postgres(v1::PostgresBackend {
            url: url(&one.url_from.secret_key_ref)?,
            ca_pem: ca(&one.tls)?,
            max_connections: number(one.max_connections),
            prefix: one.prefix.clone(),
            place,
        }));
    }
    if let Some(one) = &backend.redis {
        return Ok(Wire::Redis(v1::RedisBackend {
            url: url(&one.url_from.secret_key_ref)?,
            ca_pem: ca(&one.tls)?,
            max_connections: number(one.max_connections),
            prefix: one.prefix.clone(),
            place,
        }));
    }
    if let Some(one) = &backend.s3 {
        let keys = &one.credentials_from;
        return Ok(Wire::S3(v1::S3Backend {
            endpoint: one.endpoint.clone().unwrap_or_default(),
            bucket: one.bucket.clone(),
            region: one.region.clone(),
            access_key_id: secrets.text(&keys.access_key_id())?.trim().to_owned(),
            secret_access_key: secrets.text(&keys.secret_access_key())?.trim().to_owned(),
            ca_pem: ca(&one.tls)?,
            prefix: one.prefix.clone(),
        }));
    }
    if backend.memory.is_some() {
        return Ok(Wire::Memory(v1::MemoryBackend {}));
    }
    if backend.embedded.is_some() {
        return Ok(Wire::Embedded(v1::EmbeddedBackend {}));
    }
    // Its data is anywhere but where this version would look for it.
    Err(CredentialFault {
        reason: Reason::InvalidConfiguration,
        message: "`spec.backend` is of a kind that this version of Shoal does not know; update \
                  shoal-operator"
            .to_owned(),
    })
}

fn store_limits(limits: &StoreClassLimits) -> v1::StoreLimits {
    let bytes = |size: &Option<shoal_crds::ByteQuantity>| size.as_ref().map_or(0, |q| q.bytes());
    v1::StoreLimits {
        key_bytes: number(limits.key_bytes).into(),
        value_bytes: bytes(&limits.value_bytes),
        keys: limits
            .keys
            .and_then(|keys| u64::try_from(keys).ok())
            .unwrap_or(0),
        bytes: bytes(&limits.bytes),
    }
}

/// 0 says nothing.
fn number(number: Option<i32>) -> u32 {
    number
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or(0)
}

/// The text of a Secret's key. `data`: of the Secret, if it is there.
pub(super) fn text(
    data: Option<&std::collections::BTreeMap<String, k8s_openapi::ByteString>>,
    from: &SecretKeySelector,
    namespace: &str,
) -> Result<String, CredentialFault> {
    let SecretKeySelector { name, key } = from;
    let invalid = |why: String| CredentialFault {
        reason: Reason::SecretInvalid,
        message: format!("Secret `{name}` of namespace `{namespace}` {why}"),
    };
    let Some(data) = data else {
        return Err(CredentialFault {
            reason: Reason::SecretNotFound,
            ..invalid("does not exist".to_owned())
        });
    };
    let Some(bytes) = data.get(key) else {
        return Err(invalid(format!("has no key `{key}`")));
    };
    match std::str::from_utf8(&bytes.0) {
        Ok(text) if text.trim().is_empty() => Err(invalid(format!("has nothing in key `{key}`"))),
        Ok(text) if text.len() <= MOST_BYTES => Ok(text.to_owned()),
        Ok(_) => Err(invalid(format!(
            "has more than {MOST_BYTES} bytes in key `{key}`"
        ))),
        Err(_) => Err(invalid(format!("has no text in key `{key}`"))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::ByteString;

    use super::*;

    struct One(BTreeMap<String, ByteString>);

    impl Secrets for One {
        fn text(&self, from: &SecretKeySelector) -> Result<String, CredentialFault> {
            let data = (from.name == "there").then_some(&self.0);
            text(data, from, "shoal-system")
        }
    }

    fn secrets() -> One {
        let entry = |key: &str, value: &[u8]| (key.to_owned(), ByteString(value.to_vec()));
        One([
            entry("url", b"redis://user:secret@host\n"),
            entry("ca", b"PEM"),
            entry("empty", b" \n"),
            entry("odd", &[0xff]),
        ]
        .into())
    }

    fn spec(yaml: &str) -> StoreClassSpec {
        shoal_crds::yaml::from_str(yaml).unwrap()
    }

    #[test]
    fn a_class_is_told_with_its_credentials_and_limits() {
        let spec = spec(
            "{backend: {redis: {urlFrom: {secretKeyRef: {name: there, key: url}}, maxConnections: 7, prefix: shop, \
             tls: {caFrom: {secretKeyRef: {name: there, key: ca}}}}}, \
             limits: {keyBytes: 100, valueBytes: 1Ki, keys: 5, bytes: 2Mi, opsPerSecond: 9}}",
        );
        assert_eq!(needs(&spec.backend).len(), 2);
        let told = message("fast", &spec, Some("00000000000000aa"), &secrets()).unwrap();
        let expected = v1::StoreClass {
            name: "fast".to_owned(),
            backend: Some(Wire::Redis(v1::RedisBackend {
                url: "redis://user:secret@host".to_owned(),
                ca_pem: "PEM".to_owned(),
                max_connections: 7,
                prefix: "shop".to_owned(),
                place: "00000000000000aa".to_owned(),
            })),
            limits: Some(v1::StoreLimits {
                key_bytes: 100,
                value_bytes: 1024,
                keys: 5,
                bytes: 2 << 20,
            }),
            ops_per_second: 9,
        };
        assert_eq!(told, expected);
        assert!(!format!("{told:?}").contains("secret"));
    }

    #[test]
    fn a_bucket_is_told_with_its_keys() {
        let spec = spec(
            "{interface: Blob, backend: {s3: {endpoint: 'https://s3.example', bucket: apps, \
             credentialsFrom: {secretRef: {name: bucket}}}}}",
        );
        let needed = needs(&spec.backend);
        let needed: Vec<_> = needed.iter().map(|one| (&*one.name, &*one.key)).collect();
        let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        assert_eq!(needed, keys.map(|key| ("bucket", key)));
        let entry = |(key, value): (&str, &str)| (key.to_owned(), ByteString(value.into()));
        let data = [(keys[0], "AKID\n"), (keys[1], "s3cr3t")].map(entry);
        struct Bucket(BTreeMap<String, ByteString>);
        impl Secrets for Bucket {
            fn text(&self, from: &SecretKeySelector) -> Result<String, CredentialFault> {
                text(Some(&self.0), from, "shoal-system")
            }
        }
        let told = message("objects", &spec, None, &Bucket(data.into())).unwrap();
        let expected = Wire::S3(v1::S3Backend {
            endpoint: "https://s3.example".to_owned(),
            bucket: "apps".to_owned(),
            region: "us-east-1".to_owned(),
            access_key_id: "AKID".to_owned(),
            secret_access_key: "s3cr3t".to_owned(),
            ca_pem: String::new(),
            prefix: "shoal".to_owned(),
        });
        assert_eq!(told.backend, Some(expected));
        assert!(!format!("{told:?}").contains("s3cr3t"));
        let fault = message("objects", &spec, None, &Bucket(BTreeMap::new())).unwrap_err();
        assert!(
            fault.message.contains("AWS_ACCESS_KEY_ID"),
            "{}",
            fault.message
        );
    }

    #[test]
    fn what_is_not_said_is_left_to_who_enforces_it() {
        let spec = spec("{backend: {memory: {}}, limits: {keys: 5}}");
        let told = message("m", &spec, None, &secrets()).unwrap();
        assert_eq!(told.backend, Some(Wire::Memory(v1::MemoryBackend {})));
        assert_eq!(
            told.limits,
            Some(v1::StoreLimits {
                keys: 5,
                ..Default::default()
            })
        );
    }

    #[test]
    fn a_backend_that_is_not_known_is_no_other() {
        let spec = spec("{backend: {etched: {inStone: true}}}");
        let fault = message("later", &spec, None, &secrets()).unwrap_err();
        assert_eq!(fault.reason, Reason::InvalidConfiguration);
        assert!(!spec.backend.is_in_store_pod());
        assert_eq!(spec.backend.kind(), None);
    }

    #[test]
    fn what_is_missing_is_named_and_no_secret_is_told() {
        let table = [
            ("gone", "url", Reason::SecretNotFound, "`gone`"),
            ("there", "nokey", Reason::SecretInvalid, "`nokey`"),
            ("there", "empty", Reason::SecretInvalid, "`empty`"),
            ("there", "odd", Reason::SecretInvalid, "`odd`"),
        ];
        for (name, key, reason, names) in table {
            let spec = spec(&format!(
                "{{backend: {{postgres: {{urlFrom: {{secretKeyRef: {{name: {name}, key: {key}}}}}}}}}}}"
            ));
            let fault = message("pg", &spec, None, &secrets()).unwrap_err();
            assert_eq!(fault.reason, reason);
            assert!(fault.message.contains(names), "{}", fault.message);
            assert!(!fault.message.contains("secret@"), "{}", fault.message);
        }
    }
}
