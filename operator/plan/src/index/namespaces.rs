//! Namespaces that are going away: nothing is made there any more.

use std::collections::HashSet;

use k8s_openapi::api::core::v1::Namespace;

use super::Index;
use crate::{AppKey, ObjectKey};

#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    terminating: HashSet<String>,
}

impl Namespaces {
    /// Whether nothing can be made in this namespace.
    pub(crate) fn is_terminating(&self, name: &str) -> bool {
        self.terminating.contains(name)
    }
}

impl Index {
    pub(super) fn apply_namespace(&mut self, namespace: Namespace) {
        let Some(name) = namespace.metadata.name else {
            return;
        };
        let changed = if namespace.metadata.deletion_timestamp.is_some() {
            self.namespaces.terminating.insert(name.clone())
        } else {
            self.namespaces.terminating.remove(&name)
        };
        if changed {
            self.touch_namespace(&name);
        }
    }

    pub(super) fn delete_namespace(&mut self, key: &ObjectKey, _uid: Option<&str>) {
        self.namespaces.terminating.remove(&*key.name);
    }

    pub(super) fn known_namespaces(&self) -> Vec<ObjectKey> {
        self.namespaces
            .terminating
            .iter()
            .map(|name| ObjectKey::new("", name))
            .collect()
    }

    fn touch_namespace(&mut self, name: &str) {
        let touched: Vec<AppKey> = self
            .apps
            .range(AppKey::new(name, "")..)
            .take_while(|(key, _)| &*key.namespace == name)
            .map(|(key, _)| key.clone())
            .collect();
        self.dirty.extend(touched);
    }
}
