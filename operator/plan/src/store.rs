//! Binding: which Store each label opens.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use shoal_crds::{
    Condition, ConditionStatus, ConditionType, EMBEDDED_CLASS, Interface, Reason, Store, StoreSpec,
    StoreStatus, StoreStatusEntry,
};

use crate::{
    AppKey, Index, ObjectKey, Priority, Write, WriteAction, hash, index::Rejection, output::Plan,
    revision::Content, status::Verdict,
};

/// The label that the built-in class answers.
const DEFAULT_LABEL: &str = "default";
/// As many as a status may hold.
const MOST_STORES: usize = 64;
const LONGEST_NAME: usize = 253;

/// A Store that a label opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BoundStore {
    /// Name of the Store.
    pub(crate) name: String,
    /// Its `spec.id`.
    pub(crate) id: String,
    /// Its class.
    pub(crate) class_name: String,
}

/// Labels and their Stores.
#[derive(Debug)]
pub(crate) struct Binding {
    /// By label.
    pub(crate) stores: BTreeMap<String, BoundStore>,
    /// Of `StoresBound`; `None`: not known yet.
    pub(crate) verdict: Option<Verdict>,
}

impl Binding {
    /// The same, once the API server has refused to make a Store: nothing is made until it is to be tried again, and
    /// it is said why.
    pub(crate) fn unless(
        mut self,
        rejected: Option<&Rejection>,
        now: Timestamp,
        plan: &mut Plan,
    ) -> Self {
        let Some(rejected) = rejected.filter(|_| self.verdict.is_none()) else {
            return self;
        };
        if rejected.retry_at > now {
            plan.recheck(rejected.retry_at);
            let makes = |write: &Write| {
                matches!(
                    write.action,
                    WriteAction::CreateStore(_) | WriteAction::SetStoreId { .. }
                )
            };
            plan.writes.retain(|write| !makes(write));
        }
        let text = format!("the API server refused a Store: {}", rejected.message);
        self.verdict = Some(Verdict::fails(Reason::StoreUnusable, text).retried());
        self
    }

    /// `status.stores`.
    pub(crate) fn entries(&self) -> Vec<StoreStatusEntry> {
        let entry = |(label, store): (&String, &BoundStore)| StoreStatusEntry {
            label: label.clone(),
            interface: Interface::KeyValue,
            store: store.name.clone(),
            class_name: store.class_name.clone(),
        };
        self.stores.iter().map(entry).take(MOST_STORES).collect()
    }
}

/// Finds the Store of every label of `content`; makes those that the built-in class answers.
pub(crate) fn bind(index: &Index, app: &AppKey, content: &Content, plan: &mut Plan) -> Binding {
    let mut binding = Binding {
        stores: BTreeMap::new(),
        verdict: None,
    };
    let mut waiting = false;
    for (label, component) in content.labels() {
        match index.stores.find(app, label, Interface::KeyValue) {
            Some((key, store)) => match usable(index, key, store, plan) {
                Ok(Some(store)) => {
                    binding.stores.insert(label.to_owned(), store);
                }
                Ok(None) => waiting = true,
                Err(message) => {
                    binding.verdict = Some(Verdict::fails(Reason::StoreUnusable, message));
                }
            },
            None if label == DEFAULT_LABEL => {
                waiting = true;
                if !index.namespaces.is_terminating(&app.namespace) {
                    let store = new_store(index, app, label);
                    plan.writes
                        .push(WriteAction::CreateStore(Box::new(store)).at(Priority::Add));
                }
            }
            None => {
                let text = no_store(app, label, component);
                binding.verdict = Some(Verdict::fails(Reason::NoStoreForLabel, text));
            }
        }
    }
    if binding.verdict.is_none() && !waiting {
        binding.verdict = Some(if binding.stores.is_empty() {
            Verdict::holds(
                Reason::NoStoresNeeded,
                "no component opens a store".to_owned(),
            )
        } else {
            Verdict::holds(Reason::Bound, "every label has its Store".to_owned())
        });
    }
    binding
}

/// The Store, once it has its id.
fn usable(
    index: &Index,
    key: &ObjectKey,
    store: &Store,
    plan: &mut Plan,
) -> Result<Option<BoundStore>, String> {
    if let Some(older) = index.stores.older_with_same_id(key, store) {
        return Err(format!(
            "Store `{}` has the id of Store `{older}`, which is older; delete one of them",
            key.name
        ));
    }
    let Some(id) = &store.spec.id else {
        plan.writes.push(set_id(key, store).at(Priority::Add));
        return Ok(None);
    };
    Ok(Some(BoundStore {
        name: key.name.to_string(),
        id: id.clone(),
        class_name: store.spec.class_name.clone(),
    }))
}

fn set_id(key: &ObjectKey, store: &Store) -> WriteAction {
    WriteAction::SetStoreId {
        key: key.clone(),
        resource_version: store.metadata.resource_version.clone().unwrap_or_default(),
    }
}

fn no_store(app: &AppKey, label: &str, component: &str) -> String {
    format!(
        "component `{component}` opens the store `{label}`, which no class answers: open `{DEFAULT_LABEL}`, or \
         create a Store in namespace `{}` with `app: {}` and `label: {label}`",
        app.namespace, app.name
    )
}

fn is_dns_name(name: &str) -> bool {
    let word = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    name.len() <= LONGEST_NAME && name.split('.').all(word)
}

/// `<app>-<label>`, with eight hex digits of a hash where that is taken or no DNS name.
fn name(index: &Index, app: &AppKey, label: &str) -> String {
    let plain = format!("{}-{label}", app.name);
    if is_dns_name(&plain) && !index.stores.exists(&app.sibling(&plain)) {
        return plain;
    }
    let stem = if is_dns_name(&plain) {
        plain.as_str()
    } else {
        &app.name
    };
    let hash = hash::hex(format!("{}\0{label}\0KeyValue", app.name).as_bytes(), 4);
    format!("{}-{hash}", stem.get(..LONGEST_NAME - 9).unwrap_or(stem))
}

fn new_store(index: &Index, app: &AppKey, label: &str) -> Store {
    Store {
        metadata: ObjectMeta {
            name: Some(name(index, app, label)),
            namespace: Some(app.namespace.to_string()),
            ..ObjectMeta::default()
        },
        spec: StoreSpec {
            app: app.name.to_string(),
            label: label.to_owned(),
            interface: Interface::KeyValue,
            class_name: EMBEDDED_CLASS.to_owned(),
            id: None,
        },
        status: None,
    }
}

/// Writes the status of the App's Stores where it is not what it is to be. `used`: labels that the App opens;
/// `None`: not known, who uses them stays as it is.
pub(crate) fn report(
    index: &Index,
    app: &AppKey,
    used: Option<&Binding>,
    now: Timestamp,
    plan: &mut Plan,
) {
    for (key, store) in index.stores.of_app(app) {
        let before = store.status.clone().unwrap_or_default();
        let older = index.stores.older_with_same_id(key, store);
        let used_by = match used {
            None => before.used_by.clone(),
            Some(binding) => {
                let uses = binding.stores.values().any(|bound| bound.name == *key.name);
                if uses {
                    vec![app.name.to_string()]
                } else {
                    Vec::new()
                }
            }
        };
        let status = StoreStatus {
            bound: store.spec.id.is_some() && older.is_none(),
            used_by,
            conditions: older
                .map(|older| conflict(older, store, now))
                .into_iter()
                .collect(),
        };
        let mut ours = before;
        ours.conditions
            .retain(|one| ConditionType::parse(&one.type_).is_some());
        if status != ours {
            let action = WriteAction::PatchStoreStatus {
                key: key.clone(),
                uid: store.metadata.uid.clone().unwrap_or_default(),
                status,
            };
            plan.writes.push(action.at(Priority::Cosmetic));
        }
    }
}

fn conflict(older: &ObjectKey, store: &Store, now: Timestamp) -> Condition {
    let type_ = ConditionType::Conflict.as_str();
    let known = store
        .status
        .iter()
        .flat_map(|status| &status.conditions)
        .find(|c| c.type_ == type_);
    Condition {
        type_: type_.to_owned(),
        status: ConditionStatus::True,
        observed_generation: store.metadata.generation,
        last_transition_time: known.map_or_else(
            || crate::status::time(now),
            |known| known.last_transition_time.clone(),
        ),
        reason: Reason::DuplicateId.as_str().to_owned(),
        message: format!("Store `{older}` has the same id and is older; this one is not used"),
    }
}
