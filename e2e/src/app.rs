//! An App under test.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    LONG, Outcome, SHORT, apply, delete,
    http::{self, Answer},
    json, try_kubectl, until,
};

/// An App of a test: what its manifest says, and what became of it.
#[derive(Clone, Debug)]
pub struct App {
    namespace: String,
    name: String,
    spec: Value,
}

impl App {
    /// An App of any namespace; not applied yet.
    pub fn new(namespace: &str, name: &str, image: &str) -> Self {
        let spec = json!({"image": image});
        Self {
            namespace: namespace.into(),
            name: name.into(),
            spec,
        }
    }

    /// The App with a field of its spec set.
    #[must_use]
    pub fn with(mut self, field: &str, value: Value) -> Self {
        if let Some(spec) = self.spec.as_object_mut() {
            spec.insert(field.into(), value);
        }
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its manifest.
    pub fn manifest(&self) -> String {
        json!({
            "apiVersion": "shoal.dev/v1alpha1",
            "kind": "App",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": self.spec,
        })
        .to_string()
    }

    /// Applies it.
    ///
    /// # Panics
    /// The API server refused it.
    pub fn apply(&self) -> &Self {
        apply(&self.manifest());
        self
    }

    /// Applies it and gives what kubectl said.
    pub fn try_apply(&self) -> Outcome {
        try_kubectl(&["apply", "-f", "-"], &self.manifest())
    }

    /// Deletes it and waits until it is gone.
    pub fn delete(&self) {
        delete(&["-n", &self.namespace, "apps.shoal.dev", &self.name]);
    }

    /// The object as it is now.
    ///
    /// # Panics
    /// There is none.
    pub fn object(&self) -> Value {
        json(&["-n", &self.namespace, "apps.shoal.dev", &self.name]).expect("the App is there")
    }

    /// Waits until it is Ready, at the generation that was applied.
    ///
    /// # Panics
    /// It did not become so.
    pub fn ready(&self) -> &Self {
        self.wait_for("Ready", "True", LONG);
        self
    }

    /// Waits until a condition has a status, at the current generation; gives the condition.
    ///
    /// # Panics
    /// It did not come within `limit`.
    pub fn wait_for(&self, type_: &str, status: &str, limit: Duration) -> Value {
        let what = format!("{}/{} to be {type_}={status}", self.namespace, self.name);
        until(&what, limit, || {
            let object = self.object();
            let generation = &object["metadata"]["generation"];
            match condition(&object, type_) {
                Some(found)
                    if found["status"] == status && found["observedGeneration"] == *generation =>
                {
                    Ok(found.clone())
                }
                _ => Err(object["status"].to_string()),
            }
        })
    }

    /// Waits until a condition has this status and reason and its message holds each of `words`.
    ///
    /// # Panics
    /// It did not come within `limit`.
    pub fn wait_for_reason(&self, type_: &str, status: &str, reason: &str, words: &[&str]) {
        let what = format!(
            "{}/{} to be {type_}={status}, reason={reason}, with {words:?} in the message",
            self.namespace, self.name
        );
        until(&what, LONG, || {
            let object = self.object();
            let generation = object["metadata"]["generation"].clone();
            let fits = condition(&object, type_).is_some_and(|found| {
                let message = found["message"].as_str().unwrap_or_default();
                found["status"] == status
                    && found["reason"] == reason
                    && found["observedGeneration"] == generation
                    && words.iter().all(|word| message.contains(word))
            });
            if fits {
                Ok(())
            } else {
                Err(object["status"].to_string())
            }
        });
    }

    /// EndpointSlices of its Service.
    pub fn slices(&self) -> Vec<Value> {
        let label = format!("kubernetes.io/service-name={}", self.name);
        let list = json(&["-n", &self.namespace, "endpointslices", "-l", &label]);
        list.and_then(|list| list["items"].as_array().cloned())
            .unwrap_or_default()
    }

    /// Its ready endpoints of IPv4, as (node, address).
    pub fn ready_endpoints(&self) -> Vec<(String, String)> {
        let mut ready = Vec::new();
        for slice in self
            .slices()
            .iter()
            .filter(|slice| slice["addressType"] == "IPv4")
        {
            for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
                if endpoint["conditions"]["ready"] == true {
                    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                    ready.push((text(&endpoint["nodeName"]), text(&endpoint["addresses"][0])));
                }
            }
        }
        ready.sort();
        ready
    }

    /// The port that the app has on the runtimes.
    ///
    /// # Panics
    /// It has none.
    pub fn port(&self) -> u16 {
        let port = self.object()["status"]["port"]
            .as_u64()
            .expect("status.port is set");
        u16::try_from(port).expect("status.port is a port")
    }

    /// `http://<app>.<namespace>PATH`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}.{}{path}", self.name, self.namespace)
    }

    /// GET from a node, by the Service's name. Asks again while there is no connection: an App is Ready
    /// when its endpoints are written; DNS and each node's kube-proxy follow in their own time.
    ///
    /// # Panics
    /// There is none for long.
    pub fn get(&self, node: u8, path: &str) -> Answer {
        let url = self.url(path);
        until(&format!("a connection to {url}"), SHORT, || {
            let answer = http::get(node, &url);
            if answer.has_no_connection() {
                Err(answer)
            } else {
                Ok(answer)
            }
        })
    }

    /// GET of every replica by its own address: answers in the order of the nodes.
    pub fn get_from_each_replica(&self, path: &str) -> Vec<Answer> {
        let port = self.port();
        self.ready_endpoints()
            .into_iter()
            .map(|(_, address)| http::get(1, &format!("http://{address}:{port}{path}")))
            .collect()
    }
}

/// A condition of an object.
pub fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    object["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|c| c["type"] == type_)
}
