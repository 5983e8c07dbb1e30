//! Which class each label was bound to, kept in the state folder: a binding stays, as in a cluster.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use shoal_crds::Interface;
use shoal_protocol::state_file;

const NAME: &str = "bindings.json";
const MOST_BYTES: u64 = 64 << 20;

/// A label of an App, through an interface.
#[derive(Clone, Copy, Debug)]
pub struct AppLabel<'a> {
    /// Namespace of the App.
    pub namespace: &'a str,
    /// Name of the App.
    pub app: &'a str,
    /// What its guests open.
    pub label: &'a str,
    /// How they open it.
    pub interface: Interface,
}

impl AppLabel<'_> {
    /// The label comes last: it alone may hold a `/`.
    fn key(&self) -> String {
        let interface = self.interface.as_str();
        format!("{}/{}/{interface}/{}", self.namespace, self.app, self.label)
    }
}

/// Classes of what is bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bindings {
    /// By `namespace/app/interface/label`.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Of Stores that a manifest declares, by `namespace/name`.
    #[serde(default)]
    stores: BTreeMap<String, String>,
}

impl Bindings {
    /// The class that the label was bound to.
    pub fn class(&self, label: AppLabel<'_>) -> Option<&str> {
        self.labels.get(&label.key()).map(String::as_str)
    }

    /// The class of a Store that was used.
    pub fn class_of_store(&self, namespace: &str, name: &str) -> Option<&str> {
        let class = self.stores.get(&format!("{namespace}/{name}"));
        class.map(String::as_str)
    }

    /// Takes the class of a label down.
    pub fn bind(&mut self, label: AppLabel<'_>, class: &str) {
        self.labels.insert(label.key(), class.to_owned());
    }

    /// Takes the class of a Store down.
    pub fn bind_store(&mut self, namespace: &str, name: &str, class: &str) {
        let key = format!("{namespace}/{name}");
        self.stores.insert(key, class.to_owned());
    }
}

/// [`Bindings`] in a file.
pub struct KeptBindings {
    path: PathBuf,
    kept: Bindings,
}

impl KeptBindings {
    /// What is kept in `folder`.
    ///
    /// # Errors
    /// The file is there and cannot be read: labels would lead elsewhere.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let kept = match state_file::read(&path, MOST_BYTES) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} holds no bindings", path.display()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Bindings::default(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        Ok(Self { path, kept })
    }

    /// What is bound.
    pub fn get(&self) -> &Bindings {
        &self.kept
    }

    /// Keeps `bindings` from now on.
    ///
    /// # Errors
    /// They cannot be written; what was kept before stays.
    pub fn replace(&mut self, bindings: Bindings) -> Result<()> {
        if bindings == self.kept {
            return Ok(());
        }
        let bytes = serde_json::to_vec_pretty(&bindings)?;
        state_file::replace(&self.path, &bytes)
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        self.kept = bindings;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_known_again_by_app_label_and_interface() {
        let folder = tempfile::tempdir().unwrap();
        let label = |app, label, interface| AppLabel {
            namespace: "shop",
            app,
            label,
            interface,
        };
        let (kv, sql) = (Interface::KeyValue, Interface::Sql);
        let mut kept = KeptBindings::open(folder.path()).unwrap();
        let mut bindings = kept.get().clone();
        bindings.bind(label("cart", "a/b", kv), "fast");
        bindings.bind_store("shop", "shared", "slow");
        kept.replace(bindings.clone()).unwrap();
        let again = KeptBindings::open(folder.path()).unwrap();
        assert_eq!(again.get(), &bindings);
        assert_eq!(again.get().class(label("cart", "a/b", kv)), Some("fast"));
        assert_eq!(again.get().class(label("cart", "a/b", sql)), None);
        assert_eq!(again.get().class(label("cart", "b", kv)), None);
        assert_eq!(again.get().class_of_store("shop", "shared"), Some("slow"));
        assert_eq!(again.get().class_of_store("other", "shared"), None);

        std::fs::write(folder.path().join(NAME), "nonsense").unwrap();
        let error = KeptBindings::open(folder.path()).err().unwrap();
        assert!(error.to_string().contains(NAME), "{error}");
    }
}
