//! Binding: which Store each label opens.

mod choice;
mod classes;
mod name;
mod reclaim;
mod report;
mod volume;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use shoal_crds::{
    AppSpec, Condition, DefaultClass, EMBEDDED_CLASS, Interface, Reason, Store, StoreSpec,
    StoreStatusEntry,
};

use crate::{
    AppKey, Index, Label, ObjectKey, Priority, Write, WriteAction,
    index::{BuiltIn, Rejection},
    output::Plan,
    revision::{Content, Fault},
    service::{MANAGED_BY_LABEL, MANAGER},
    status::Verdict,
};
use choice::{Choice, choose};

pub(crate) use classes::hold;
pub use classes::may_make_store;
pub use name::store_name;
pub(crate) use report::report;
pub(crate) use volume::unprovided;

/// As many as a status may hold.
const MOST_STORES: usize = 64;

/// A Store that a label opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BoundStore {
    /// Name of the Store.
    pub(crate) name: String,
    /// Its `spec.id`.
    pub(crate) id: String,
    /// Its class.
    pub(crate) class_name: String,
    /// On how many nodes apps use it, where its class limits operations; else 0.
    pub(crate) nodes: u32,
}

/// Labels and their Stores.
#[derive(Debug, Default)]
pub(crate) struct Binding {
    /// By label.
    pub(crate) stores: BTreeMap<Label, BoundStore>,
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
                    WriteAction::CreateStore(_)
                        | WriteAction::SetStoreId { .. }
                        | WriteAction::HoldClass { .. }
                )
            };
            plan.writes.retain(|write| !makes(write));
        }
        let text = format!("the API server refused a Store: {}", rejected.message);
        self.verdict = Some(Verdict::fails(Reason::StoreUnusable, text).retried());
        self
    }

    /// The same, with what is to be known of the class that is built in, where the App has data there. `said`: what
    /// `StoresBound` says, which holds while nothing is known.
    pub(crate) fn with_built_in(mut self, index: &Index, said: Option<&Condition>) -> Self {
        let verdict = self.verdict.as_mut();
        let Some(verdict) = verdict.filter(|verdict| !verdict.failed()) else {
            return self;
        };
        let mut stores = self.stores.iter();
        let Some(((_, label), _)) = stores.find(|(_, store)| store.class_name == EMBEDDED_CLASS)
        else {
            return self;
        };
        let not_ready = Reason::StoreClassNotReady;
        match (index.classes.built_in(), said) {
            (Some(BuiltIn::Badly { reason, message }), _) => {
                let text = format!(
                    "{}; the built-in class `{EMBEDDED_CLASS}`, where label `{label}` has its data, does not do well: \
                     {reason}: {message}",
                    verdict.message
                );
                *verdict = Verdict::holds(not_ready, text);
            }
            (None, Some(said)) if said.reason == not_ready.as_str() => {
                *verdict = Verdict::stored(said, false);
            }
            _ => {}
        }
        self
    }

    /// `status.stores`.
    pub(crate) fn entries(&self) -> Vec<StoreStatusEntry> {
        let entry = |((interface, label), store): (&Label, &BoundStore)| StoreStatusEntry {
            label: label.clone(),
            interface: *interface,
            store: store.name.clone(),
            class_name: store.class_name.clone(),
        };
        self.stores.iter().map(entry).take(MOST_STORES).collect()
    }

    /// Names of the Stores.
    pub(crate) fn keys(&self, app: &AppKey) -> BTreeSet<ObjectKey> {
        let names = self.stores.values();
        names.map(|store| app.sibling(&store.name)).collect()
    }
}

/// Finds the Store of every label of `content`; makes those that a class answers.
pub(crate) fn bind(
    index: &Index,
    app: &AppKey,
    spec: &AppSpec,
    content: &Content,
    plan: &mut Plan,
) -> Binding {
    let mut binding = Binding::default();
    let mut notes = Vec::new();
    let mut waiting = false;
    for (label, component) in content.labels() {
        let bound = match choose(index, app, spec, label, component) {
            Choice::Store(key, store) => {
                notes.extend(other_default(index, app, spec, label, &key, store));
                usable(index, &key, store, plan)
            }
            Choice::Make(class) => volume::provided(index, &class)
                .map(|()| {
                    make(index, app, label, &class, plan);
                    None
                })
                .map_err(|(reason, why)| {
                    let opens = format!("component `{component}` opens the store `{}`", label.1);
                    (reason, format!("{opens}: {why}"))
                }),
            Choice::Wait => Ok(None),
            Choice::Fault(reason, message) => Err((reason, message)),
        };
        match bound {
            Ok(Some(store)) => {
                binding.stores.insert(label.clone(), store);
            }
            Ok(None) => waiting = true,
            Err((reason, message)) => binding.verdict = Some(Verdict::fails(reason, message)),
        }
    }
    if binding.verdict.is_none() && !waiting {
        notes.extend(volume::loss(index, &binding.stores));
        binding.verdict = Some(done(&binding, notes));
    }
    binding
}

fn done(binding: &Binding, notes: Vec<String>) -> Verdict {
    if binding.stores.is_empty() {
        let text = "no component opens a store".to_owned();
        return Verdict::holds(Reason::NoStoresNeeded, text);
    }
    let text = "every label has its Store".to_owned();
    let text = [vec![text], notes].concat().join("; ");
    Verdict::holds(Reason::Bound, text)
}

/// The Store, once it has its id. It gets one only if its class may be bound in its namespace: whoever may make
/// Stores there has no data in a class that is not for them.
fn usable(
    index: &Index,
    key: &ObjectKey,
    store: &Store,
    plan: &mut Plan,
) -> Result<Option<BoundStore>, Fault> {
    let class = &store.spec.class_name;
    if let Some(older) = index.stores.older_with_same_id(key, store) {
        let text = format!(
            "Store `{}` has the id of Store `{older}`, which is older; delete one of them",
            key.name
        );
        return Err((Reason::StoreUnusable, text));
    }
    let Some(id) = &store.spec.id else {
        if !index.namespaces.is_known(&key.namespace) {
            return Ok(None);
        }
        classes::may_bind(index, &key.namespace, class, store.spec.interface)
            .and_then(|()| volume::provided(index, class))
            .map_err(|(reason, why)| (reason, format!("Store `{}`: {why}", key.name)))?;
        hold(index, class, plan);
        plan.writes.push(set_id(key, store).at(Priority::Add));
        return Ok(None);
    };
    if !index.classes.exists(class) {
        let text = format!(
            "StoreClass `{class}`, where Store `{}` has its data, does not exist; make it again, with the backend that \
             it had",
            key.name
        );
        return Err((Reason::StoreClassNotFound, text));
    }
    Ok(Some(BoundStore {
        name: key.name.to_string(),
        id: id.clone(),
        class_name: class.clone(),
        nodes: 0,
    }))
}

fn set_id(key: &ObjectKey, store: &Store) -> WriteAction {
    WriteAction::SetStoreId {
        key: key.clone(),
        resource_version: store.metadata.resource_version.clone().unwrap_or_default(),
        finalizers: reclaim::finalizers_with_id(store),
    }
}

/// What is to be known of a label whose Store is of another class than a new one would be. Nothing, where somebody
/// decided: the App itself, or who made the Store by hand.
fn other_default(
    index: &Index,
    app: &AppKey,
    spec: &AppSpec,
    (interface, label): &Label,
    key: &ObjectKey,
    store: &Store,
) -> Option<String> {
    let mut asked = spec.stores.iter().flatten();
    if asked.any(|one| one.label == *label && one.interface == *interface) || !is_ours(store) {
        return None;
    }
    let labels = index.namespaces.labels(&app.namespace);
    let class = &store.spec.class_name;
    match index.classes.default_for(labels, label, *interface) {
        DefaultClass::Class(other) if other != class => Some(format!(
            "label `{label}` stays in Store `{}` of class `{class}`; the default for new Stores is `{other}` now (to \
             change over, make a Store of class `{other}`, copy the data{}, and name it in `spec.stores`)",
            key.name,
            way_of_copying(*interface)
        )),
        _ => None,
    }
}

/// Whether it was made here, when an app first opened the label.
fn is_ours(store: &Store) -> bool {
    let mut labels = store.metadata.labels.iter().flatten();
    labels.any(|(name, value)| name == MANAGED_BY_LABEL && value == MANAGER)
}

/// How data is copied, as far as there is a way for all of the interface.
fn way_of_copying(interface: Interface) -> &'static str {
    match interface {
        Interface::KeyValue => {
            " with `kubectl shoal stores export` and `import`, as docs/how-to/move-to-postgres.md shows"
        }
        Interface::Sql | Interface::Blob => "",
    }
}

fn make(index: &Index, app: &AppKey, label: &Label, class: &str, plan: &mut Plan) {
    if index.namespaces.is_terminating(&app.namespace) {
        return;
    }
    hold(index, class, plan);
    let mut store = Store {
        metadata: ObjectMeta {
            name: Some(name::of_new(index, app, label)),
            namespace: Some(app.namespace.to_string()),
            labels: Some([(MANAGED_BY_LABEL.to_owned(), MANAGER.to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: StoreSpec {
            app: app.name.to_string(),
            label: label.1.clone(),
            interface: label.0,
            class_name: class.to_owned(),
            reclaim_policy: index.classes.reclaim_policy(class),
            id: None,
        },
        status: None,
    };
    let finalizers = reclaim::finalizers_with_id(&store);
    store.metadata.finalizers = (!finalizers.is_empty()).then_some(finalizers);
    plan.writes
        .push(WriteAction::CreateStore(Box::new(store)).at(Priority::Add));
}
