//! Which class each label of an App leads to: by the rules of the operator, over what a manifest declares.

use std::collections::BTreeMap;

use shoal_crds::{
    AppStore, DefaultClass, EMBEDDED_CLASS, Interface, StoreSpec, default_class, may_bind,
};

use super::bindings::{AppLabel, Bindings};
use super::declared::Declared;

/// Label of each namespace with its name, as the API server sets it.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// A Store, as far as a laptop needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// App whose data it is.
    pub app: String,
    /// Label that it has there.
    pub label: String,
    /// Class that says where the data is.
    pub class: String,
    /// What it is bound by.
    pub by: Source,
    /// What is to be known of it.
    pub note: Option<String>,
}

/// What a label is bound by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// What was bound earlier.
    Earlier,
    /// A class.
    Class,
    /// The Store of this name in the manifest, found by App and label.
    Found(String),
    /// The Store of this name in the manifest, which the App names.
    Named(String),
}

impl Place {
    fn of(wanted: AppLabel<'_>, class: &str, by: Source) -> Self {
        Self {
            app: wanted.app.to_owned(),
            label: wanted.label.to_owned(),
            class: class.to_owned(),
            by,
            note: None,
        }
    }

    /// Takes down that `wanted` is bound here.
    pub fn keep(&self, wanted: AppLabel<'_>, bindings: &mut Bindings) {
        match &self.by {
            Source::Earlier => {}
            Source::Class => bindings.bind(wanted, &self.class),
            Source::Found(name) => {
                bindings.bind(wanted, &self.class);
                bindings.bind_store(wanted.namespace, name, &self.class);
            }
            Source::Named(name) => bindings.bind_store(wanted.namespace, name, &self.class),
        }
    }
}

impl Declared {
    /// Which Store a label of an App opens, after what was bound earlier; `asked`: what the App itself
    /// says of the label.
    ///
    /// # Errors
    /// None, and why; `Ok(None)`: no class answers the label.
    pub fn resolve(
        &self,
        earlier: &Bindings,
        wanted: AppLabel<'_>,
        asked: Option<&AppStore>,
    ) -> Result<Option<Place>, String> {
        if let Some(name) = asked.and_then(|asked| asked.store.as_deref()) {
            return self.named(earlier, wanted, name).map(Some);
        }
        let own = self.own(wanted);
        if let Some((name, store)) = own {
            unchanged(earlier, wanted.namespace, name, store)?;
        }
        let asked = asked.and_then(|asked| asked.class.as_deref());
        if let Some(class) = earlier.class(wanted) {
            return self.again(wanted, class, own, asked).map(Some);
        }
        match (own, asked) {
            (Some((name, store)), Some(class)) if store.class_name != class => Err(format!(
                "it is in Store `{name}` of class `{}`, and `spec.stores` wants class `{class}`",
                store.class_name
            )),
            (Some((name, store)), _) => {
                self.may_bind(wanted.namespace, &store.class_name, store.interface)
                    .map_err(|why| format!("Store `{name}`: {why}"))?;
                let by = Source::Found(name.to_owned());
                Ok(Some(Place::of(wanted, &store.class_name, by)))
            }
            (None, Some(class)) => {
                self.may_bind(wanted.namespace, class, wanted.interface)?;
                Ok(Some(Place::of(wanted, class, Source::Class)))
            }
            (None, None) => self.by_default(wanted),
        }
    }

    /// The Store of the manifest that is for the label.
    fn own(&self, wanted: AppLabel<'_>) -> Option<(&str, &StoreSpec)> {
        let mut stores = self.stores.iter();
        let found = stores.find(|((namespace, _), store)| {
            namespace == wanted.namespace
                && store.app == wanted.app
                && store.label == wanted.label
                && store.interface == wanted.interface
        });
        found.map(|((_, name), store)| (name.as_str(), store))
    }

    /// A Store that the App itself names.
    fn named(&self, earlier: &Bindings, wanted: AppLabel<'_>, name: &str) -> Result<Place, String> {
        let namespace = wanted.namespace;
        let store = self.stores.get(&(namespace.to_owned(), name.to_owned()));
        let store = store.ok_or_else(|| {
            format!("Store `{name}` of `spec.stores` is not in this manifest, in namespace `{namespace}`")
        })?;
        if store.interface != wanted.interface {
            let (is, wanted) = (store.interface.as_str(), wanted.interface.as_str());
            return Err(format!(
                "Store `{name}` is of interface `{is}`, not `{wanted}`"
            ));
        }
        unchanged(earlier, namespace, name, store)?;
        if earlier.class_of_store(namespace, name).is_none() {
            self.may_bind(namespace, &store.class_name, store.interface)
                .map_err(|why| format!("Store `{name}`: {why}"))?;
        }
        let by = Source::Named(name.to_owned());
        Ok(Place {
            app: store.app.clone(),
            label: store.label.clone(),
            ..Place::of(wanted, &store.class_name, by)
        })
    }

    /// A label that was bound to `class` earlier.
    fn again(
        &self,
        wanted: AppLabel<'_>,
        class: &str,
        own: Option<(&str, &StoreSpec)>,
        asked: Option<&str>,
    ) -> Result<Place, String> {
        if let Some(asked) = asked.filter(|asked| *asked != class) {
            return Err(format!(
                "its data is in class `{class}`, and `spec.stores` wants class `{asked}`: data does not move by \
                 itself. Leave that out, or begin anew with another folder (--state)"
            ));
        }
        if class != EMBEDDED_CLASS && !self.classes.contains_key(class) {
            return Err(format!(
                "StoreClass `{class}`, where its data is, is not in this manifest: put it back, or begin anew with \
                 another folder (--state)"
            ));
        }
        let note = match own {
            Some((name, store)) if store.class_name != class => Some(format!(
                "Store `{name}` of class `{}` came later and does not take it over: name it in `spec.stores` for that",
                store.class_name
            )),
            None if asked.is_none() => self.other_default(wanted, class),
            _ => None,
        };
        Ok(Place {
            note,
            ..Place::of(wanted, class, Source::Earlier)
        })
    }

    /// That a label which is bound to `class` would go elsewhere if it were new.
    fn other_default(&self, wanted: AppLabel<'_>, class: &str) -> Option<String> {
        match self.default_class(wanted) {
            DefaultClass::Class(other) if other != class => Some(format!(
                "its data stays there; the default for new ones is class `{other}` now (to change over, make a \
                 Store of class `{other}` and name it in `spec.stores`)"
            )),
            _ => None,
        }
    }

    fn may_bind(&self, namespace: &str, class: &str, interface: Interface) -> Result<(), String> {
        let found = self.classes.get(class);
        let labels = self.labels(namespace);
        may_bind((class, found), interface, (namespace, &labels)).map_err(|refused| refused.message)
    }

    /// Labels of a namespace.
    fn labels(&self, namespace: &str) -> BTreeMap<String, String> {
        let mut labels = self.namespaces.get(namespace).cloned().unwrap_or_default();
        labels.insert(NAME_LABEL.to_owned(), namespace.to_owned());
        labels
    }

    fn default_class(&self, wanted: AppLabel<'_>) -> DefaultClass<'_> {
        let labels = self.labels(wanted.namespace);
        let classes = self.classes.iter();
        let classes = classes.map(|(name, spec)| (name.as_str(), spec));
        default_class(classes, &labels, wanted.label, wanted.interface)
    }

    fn by_default(&self, wanted: AppLabel<'_>) -> Result<Option<Place>, String> {
        match self.default_class(wanted) {
            DefaultClass::Class(class) => Ok(Some(Place::of(wanted, class, Source::Class))),
            // Which class a cluster has for objects is not known here; a folder does as well.
            DefaultClass::None if wanted.interface == Interface::Blob => {
                self.may_bind(wanted.namespace, EMBEDDED_CLASS, Interface::Blob)?;
                Ok(Some(Place::of(wanted, EMBEDDED_CLASS, Source::Class)))
            }
            DefaultClass::None => Ok(None),
            DefaultClass::Tie(names) => Err(format!(
                "the StoreClasses {} are the default for it with equal right in namespace `{}`; name one of them in \
                 `spec.stores`",
                names.join(", "),
                wanted.namespace
            )),
        }
    }
}

/// As the API server has it: where the data of a Store is does not change.
fn unchanged(
    earlier: &Bindings,
    namespace: &str,
    name: &str,
    store: &StoreSpec,
) -> Result<(), String> {
    match earlier.class_of_store(namespace, name) {
        Some(class) if class != store.class_name => Err(format!(
            "Store `{name}` was of class `{class}`, and `className` says where data is and cannot change; make another \
             Store"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
