//! Secrets and ConfigMaps beside the Apps of a manifest: Apps take values from them as in a cluster.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use shoal_crds::SourceKind;

/// A Secret or a ConfigMap.
#[derive(Clone, PartialEq, Eq)]
pub struct Object {
    /// Which of them.
    pub kind: SourceKind,
    /// Its namespace, `default` where it names none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its values, decoded.
    pub data: BTreeMap<String, Vec<u8>>,
}

/// Keys, never a value.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&String> = self.data.keys().collect();
        write!(f, "{} {}/{} {keys:?}", self.kind, self.namespace, self.name)
    }
}

#[derive(Deserialize)]
struct Written {
    metadata: Metadata,
    #[serde(default)]
    data: Option<BTreeMap<String, String>>,
    #[serde(default, rename = "stringData")]
    string_data: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: Option<String>,
}

/// Reads an object of a manifest; `None`: it is of another kind.
///
/// # Errors
/// It is not what the API server would take; no value is in the message.
pub fn read(kind: &str, document: &Value) -> Result<Option<Object>> {
    let kind = match kind {
        "Secret" => SourceKind::Secret,
        "ConfigMap" => SourceKind::ConfigMap,
        _ => return Ok(None),
    };
    // What cannot be read may be quoted by the error: it is left out.
    let written: Written = serde_json::from_value(document.clone()).map_err(|_| {
        anyhow::anyhow!("a {kind} without `metadata.name`, or with a value that is no text")
    })?;
    let Written {
        metadata: Metadata { name, namespace },
        data,
        string_data,
    } = written;
    let mut values = BTreeMap::new();
    for (key, text) in data.unwrap_or_default() {
        let value = match kind {
            SourceKind::ConfigMap => text.into_bytes(),
            SourceKind::Secret => STANDARD
                .decode(text.trim())
                .ok()
                .with_context(|| format!("Secret {name}: data.{key} is no base64"))?,
        };
        values.insert(key, value);
    }
    if kind == SourceKind::Secret {
        let texts = string_data.unwrap_or_default().into_iter();
        values.extend(texts.map(|(key, text)| (key, text.into_bytes())));
    }
    Ok(Some(Object {
        kind,
        namespace: namespace.unwrap_or_else(|| "default".into()),
        name,
        data: values,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_kinds_are_read_and_others_are_left() {
        let secret =
            json!({"metadata": {"name": "db"}, "data": {"a": "b25l"}, "stringData": {"b": "two"}});
        let object = read("Secret", &secret).unwrap().unwrap();
        assert_eq!(
            (object.namespace.as_str(), object.name.as_str()),
            ("default", "db")
        );
        assert_eq!(object.data["a"], b"one");
        assert_eq!(object.data["b"], b"two");
        let map = json!({"metadata": {"name": "c", "namespace": "n"}, "data": {"a": "b25l"}});
        let object = read("ConfigMap", &map).unwrap().unwrap();
        assert_eq!(
            (object.namespace.as_str(), &object.data["a"][..]),
            ("n", &b"b25l"[..])
        );
        assert_eq!(read("Namespace", &map).unwrap(), None);
    }

    #[test]
    fn what_is_wrong_is_named_without_its_value() {
        for (document, word) in [
            (
                json!({"metadata": {"name": "db"}, "data": {"key": "s3cr3t!"}}),
                "data.key",
            ),
            (
                json!({"metadata": {"name": "db"}, "stringData": {"key": 123}}),
                "no text",
            ),
        ] {
            let error = format!("{:#}", read("Secret", &document).unwrap_err());
            assert!(error.contains(word), "{error}");
            assert!(
                !error.contains("s3cr3t") && !error.contains("123"),
                "{error}"
            );
        }
    }
}
