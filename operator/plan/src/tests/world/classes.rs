//! StoreClasses and namespaces, as a platform team makes and changes them.

use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::Time};
use shoal_crds::{Condition, StoreClass, StoreClassSpec, StoreClassStatus};

use super::{NAMESPACE, World};
use crate::ClassHealth;

/// A class that answers `default`, in the store pod's memory, with more said about it in YAML.
pub(in crate::tests) fn memory(yaml: &str) -> StoreClassSpec {
    shoal_crds::yaml::from_str(&format!("{{backend: {{memory: {{}}}}, {yaml}}}")).unwrap()
}

/// The same in a database.
pub(in crate::tests) fn postgres(yaml: &str) -> StoreClassSpec {
    let backend = "postgres: {urlFrom: {secretKeyRef: {name: pg, key: url}}}";
    shoal_crds::yaml::from_str(&format!("{{backend: {{{backend}}}, {yaml}}}")).unwrap()
}

impl World {
    /// Makes or changes a class.
    pub(in crate::tests) fn class(&mut self, name: &str, spec: StoreClassSpec) {
        let known = self.api.classes.get(name).cloned();
        let mut class = known.unwrap_or_else(|| StoreClass::new(name, spec.clone()));
        class.spec = spec;
        class.metadata.generation = Some(class.metadata.generation.unwrap_or(0) + 1);
        let class = self.api.put_class(class, self.now);
        self.index.apply(class);
    }

    /// Asks for a class to be deleted: with finalizers it stays for the time being.
    pub(in crate::tests) fn delete_class(&mut self, name: &str) {
        let mut class = self.api.classes[name].clone();
        if class.metadata.finalizers.iter().flatten().next().is_none() {
            self.api.classes.remove(name);
            self.index.delete(&class);
            return;
        }
        class.metadata.deletion_timestamp = Some(Time(self.now));
        let class = self.api.put_class(class, self.now);
        self.index.apply(class);
    }

    /// Deletes a Store.
    pub(in crate::tests) fn delete_store(&mut self, name: &str) {
        let gone = self.api.stores.remove(&super::key(name)).unwrap();
        self.index.delete(&gone);
    }

    /// Labels the namespace of the tests.
    pub(in crate::tests) fn label_namespace(&mut self, labels: &[(&str, &str)]) {
        let labels: serde_json::Map<String, serde_json::Value> = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).into()))
            .collect();
        let namespace: Namespace = serde_json::from_value(serde_json::json!({
            "metadata": {"name": NAMESPACE, "labels": labels}
        }))
        .unwrap();
        self.api
            .namespaces
            .insert(NAMESPACE.to_owned(), namespace.clone());
        self.index.apply(namespace);
    }

    pub(in crate::tests) fn class_status(&self, name: &str) -> StoreClassStatus {
        self.api.classes[name].status.clone().unwrap_or_default()
    }

    pub(in crate::tests) fn class_condition(&self, name: &str, type_: &str) -> Option<Condition> {
        let conditions = self.class_status(name).conditions;
        conditions.into_iter().find(|one| one.type_ == type_)
    }

    /// `True/Reachable`
    pub(in crate::tests) fn class_says(&self, name: &str, type_: &str) -> String {
        match self.class_condition(name, type_) {
            Some(one) => format!("{}/{}", one.status.as_str(), one.reason),
            None => "absent".to_owned(),
        }
    }

    /// The runtime of a node says of each class whether it is reachable.
    pub(in crate::tests) fn health(&mut self, node: &str, classes: &[(&str, bool)]) {
        let one = |(class, reachable): &(&str, bool)| ClassHealth {
            class: (*class).to_owned(),
            reachable: *reachable,
            reason: if *reachable { "" } else { "CredentialsRefused" }.to_owned(),
            message: if *reachable { "" } else { "the role is locked" }.to_owned(),
            place: None,
        };
        self.classes_said(node, classes.iter().map(one).collect());
    }

    /// The runtime of a node says this of its classes.
    pub(in crate::tests) fn classes_said(&mut self, node: &str, said: Vec<ClassHealth>) {
        let uid = self.runtime(node).pod.uid.clone();
        self.runtime(node).health.clone_from(&said);
        self.index.store_health(&uid, said, self.now);
    }
}
