//! A StoreClass under test, with the Secret of its credentials.

use serde_json::{Value, json};

use crate::{LONG, Namespace, SYSTEM, apply, condition, delete, json, try_kubectl, until};

/// A StoreClass, and its Secret in Shoal's own namespace; both go when it is dropped.
#[derive(Debug)]
pub struct Class {
    name: String,
    spec: Value,
}

impl Class {
    /// A class with this backend, for key-value stores; not applied yet.
    pub fn new(name: &str, backend: Value) -> Self {
        Self {
            name: format!("{name}-{}", std::process::id()),
            spec: json!({"interface": "KeyValue", "backend": backend}),
        }
    }

    /// A class whose backend of this kind takes its URL, and perhaps its authority, from a Secret.
    pub fn with_secret(name: &str, kind: &str, url: &str, ca: Option<&str>) -> Self {
        let mut class = Self::new(name, Value::Null);
        let key = |key: &str| json!({"secretKeyRef": {"name": class.name, "key": key}});
        let mut backend = json!({"urlFrom": key("url")});
        if ca.is_some() {
            backend["tls"] = json!({"caFrom": key("ca.crt")});
        }
        class.spec["backend"] = json!({ kind: backend });
        class.set_secret(url, ca);
        class
    }

    /// A class of objects in a bucket, with a Secret that has its keys.
    pub fn of_bucket(name: &str, endpoint: &str, bucket: &str, key: &str, secret: &str) -> Self {
        let class = Self::new(name, Value::Null);
        let backend = json!({"s3": {
            "endpoint": endpoint,
            "bucket": bucket,
            "credentialsFrom": {"secretRef": {"name": class.name}},
        }});
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": class.name, "namespace": SYSTEM},
            "stringData": {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret},
        });
        apply(&secret.to_string());
        class
            .with("interface", json!("Blob"))
            .with("backend", backend)
    }

    /// Writes the Secret anew: other credentials, or another server.
    pub fn set_secret(&self, url: &str, ca: Option<&str>) {
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self.name, "namespace": SYSTEM},
            "stringData": {"url": url, "ca.crt": ca.unwrap_or_default()},
        });
        apply(&secret.to_string());
    }

    /// The class with a field of its spec set.
    #[must_use]
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.spec[field] = value;
        self
    }

    /// The class as the default of these namespaces.
    #[must_use]
    pub fn default_of(self, namespaces: &[&Namespace]) -> Self {
        let names: Vec<&str> = namespaces
            .iter()
            .map(|namespace| namespace.name())
            .collect();
        let expression = json!({
            "key": "kubernetes.io/metadata.name", "operator": "In", "values": names,
        });
        self.with("default", json!(true)).with(
            "namespaceSelector",
            json!({"matchExpressions": [expression]}),
        )
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Applies it.
    ///
    /// # Panics
    /// The API server refused it.
    pub fn apply(&self) -> &Self {
        let object = json!({
            "apiVersion": "shoal.dev/v1alpha1",
            "kind": "StoreClass",
            "metadata": {"name": self.name},
            "spec": self.spec,
        });
        apply(&object.to_string());
        self
    }

    /// The object as it is now.
    pub fn object(&self) -> Value {
        json(&["storeclasses.shoal.dev", &self.name]).unwrap_or_default()
    }

    /// Waits until a condition of it has this status and its message holds each of `words`.
    ///
    /// # Panics
    /// It did not become so.
    pub fn wait_for(&self, type_: &str, status: &str, words: &[&str]) -> Value {
        let what = format!("StoreClass {} to be {type_}={status}", self.name);
        until(&what, LONG, || {
            let object = self.object();
            let found = condition(&object, type_).cloned().unwrap_or_default();
            let message = found["message"].as_str().unwrap_or_default();
            if found["status"] == status && words.iter().all(|word| message.contains(word)) {
                Ok(found)
            } else {
                Err(object["status"].to_string())
            }
        })
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        // Not waited for: Stores of a namespace that is about to go may still name it.
        try_kubectl(
            &[
                "delete",
                "storeclasses.shoal.dev",
                &self.name,
                "--ignore-not-found",
                "--wait=false",
            ],
            "",
        );
        delete(&["-n", SYSTEM, "secret", &self.name]);
    }
}
