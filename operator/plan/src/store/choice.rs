//! Which Store a label opens, or of which class one is to be made.
//!
//! In this order: what the App's own `spec.stores` says; the Store that there is; the one default class that answers
//! the label in this namespace; the built-in class, for `default`. A Store that there is never gives way to a class.

use std::sync::Arc;

use shoal_crds::{AppSpec, AppStore, DefaultClass, Interface, Reason, Store};

use super::classes::may_bind;
use crate::{AppKey, Index, Label, ObjectKey, revision::Fault};

/// What a label comes to.
pub(super) enum Choice<'a> {
    /// This Store.
    Store(ObjectKey, &'a Arc<Store>),
    /// There is none yet: it is to be of this class.
    Make(String),
    /// Nothing before the namespace was seen: what a label is bound to then is for ever.
    Wait,
    /// Nothing, and why.
    Fault(Reason, String),
}

impl From<Fault> for Choice<'_> {
    fn from((reason, message): Fault) -> Self {
        Self::Fault(reason, message)
    }
}

/// Decides about a label that `component` is the first to open.
pub(super) fn choose<'a>(
    index: &'a Index,
    app: &AppKey,
    spec: &AppSpec,
    (interface, label): &Label,
    component: &str,
) -> Choice<'a> {
    let interface = *interface;
    let mut asked = spec.stores.iter().flatten();
    let asked = asked.find(|one| one.label == *label && one.interface == interface);
    if let Some(name) = asked.and_then(|one| one.store.as_deref()) {
        return named(index, app, name, label, interface);
    }
    let class = asked.and_then(|one: &AppStore| one.class.as_deref());
    match (index.stores.find(app, label, interface), class) {
        (Some((key, store)), Some(class)) if store.spec.class_name != class => {
            other_class(key, store, class)
        }
        (Some((key, store)), _) => Choice::Store(key.clone(), store),
        (None, _) if !index.namespaces.is_known(&app.namespace) => Choice::Wait,
        (None, Some(class)) => match may_bind(index, &app.namespace, class, interface) {
            Ok(()) => Choice::Make(class.to_owned()),
            Err((reason, why)) => Choice::Fault(reason, format!("label `{label}`: {why}")),
        },
        (None, None) => by_default(index, app, label, interface, component),
    }
}

fn by_default<'a>(
    index: &Index,
    app: &AppKey,
    label: &str,
    interface: Interface,
    component: &str,
) -> Choice<'a> {
    if let Some(class) = index.classes.any_unreadable() {
        let text = format!(
            "component `{component}` opens the store `{label}`, and nobody can say of which class: StoreClass `{class}`, \
             which may be its default, is of a later version of Shoal than this one; name a class in `spec.stores`"
        );
        return Choice::Fault(Reason::StoreUnusable, text);
    }
    let labels = index.namespaces.labels(&app.namespace);
    match index.classes.default_for(labels, label, interface) {
        DefaultClass::Class(class) => Choice::Make(class.to_owned()),
        DefaultClass::Tie(names) => {
            let names = names.iter().map(|name| format!("`{name}`"));
            let names = names.collect::<Vec<_>>().join(", ");
            let text = format!(
                "component `{component}` opens the store `{label}`, for which the StoreClasses {names} are the default \
                 with equal right in namespace `{}`; name one of them in `spec.stores`, or have all but one changed",
                app.namespace
            );
            Choice::Fault(Reason::AmbiguousDefault, text)
        }
        DefaultClass::None => {
            let text = format!(
                "component `{component}` opens the store `{label}`, which no class answers in namespace `{0}`: give \
                 its class in `spec.stores`, or create a Store in namespace `{0}` with `app: {1}`, `label: {label}` and `interface: {2}`",
                app.namespace,
                app.name,
                interface.as_str()
            );
            Choice::Fault(Reason::NoStoreForLabel, text)
        }
    }
}

fn named<'a>(
    index: &'a Index,
    app: &AppKey,
    name: &str,
    label: &str,
    interface: Interface,
) -> Choice<'a> {
    let key = app.sibling(name);
    let Some(store) = index.stores.get(&key) else {
        let text = format!(
            "label `{label}`: Store `{name}` of `spec.stores` does not exist in namespace `{}`",
            app.namespace
        );
        return Choice::Fault(Reason::StoreNotFound, text);
    };
    if store.spec.interface != interface {
        let text = format!(
            "label `{label}`: Store `{name}` is of interface `{}`, not `{}`",
            store.spec.interface.as_str(),
            interface.as_str()
        );
        return Choice::Fault(Reason::StoreMismatch, text);
    }
    if store.metadata.deletion_timestamp.is_some() {
        let text = format!("label `{label}`: Store `{name}` of `spec.stores` is being deleted");
        return Choice::Fault(Reason::StoreUnusable, text);
    }
    Choice::Store(key, store)
}

fn other_class<'a>(key: &ObjectKey, store: &Store, class: &str) -> Choice<'a> {
    let text = format!(
        "label `{}` is in Store `{}` of class `{}`, and data does not move by itself: leave `class: {class}` out of \
         `spec.stores`, or make a Store of class `{class}`, copy the data, and name it there",
        store.spec.label, key.name, store.spec.class_name
    );
    Choice::Fault(Reason::StoreMismatch, text)
}
