//! Which stores the labels of apps open: those of the state folder, or what `--store` says.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use shoal_crds::{EMBEDDED_CLASS, Interface};
use shoal_runtime::local::{Entry, StoreIds};
use shoal_runtime::stores::ClassDescription;
use shoal_runtime::{Assignment, ComponentSpec, StoreBinding, StoreClasses};

use super::bindings::{AppLabel, Bindings, KeptBindings};
use super::declared::Declared;
use super::placed::{Placed, beside_flag, instead_of};
use super::resolve::Place;
use super::store_flag::{Folders, PLACES, StoreFlag};

/// What the state folder knows of stores.
pub struct Kept {
    /// Under which id the data of each label is.
    pub ids: StoreIds,
    /// Which class each label was bound to.
    pub bindings: KeptBindings,
}

/// Where labels lead: to what `--store` says, else to what they were bound to, else to what the manifest says.
pub struct Stores<'a> {
    flags: &'a [StoreFlag],
    declared: &'a Declared,
    kept: &'a mut Kept,
    /// What is to be kept once all of it can be used.
    bindings: Bindings,
    /// Classes of the manifest that some label leads to.
    used: BTreeSet<String>,
    placed: Placed,
}

impl<'a> Stores<'a> {
    /// Of these flags and this manifest, after what was kept.
    pub fn new(flags: &'a [StoreFlag], declared: &'a Declared, kept: &'a mut Kept) -> Self {
        Self {
            flags,
            declared,
            bindings: kept.bindings.get().clone(),
            kept,
            used: BTreeSet::new(),
            placed: Placed::default(),
        }
    }

    /// Which Store a label of an App opens.
    ///
    /// # Errors
    /// Nothing was said about this label, or the wrong thing.
    pub fn bind(
        &mut self,
        app: &Entry,
        label: &str,
        interface: Interface,
    ) -> Result<StoreBinding, String> {
        let wanted = AppLabel {
            namespace: &app.namespace,
            app: &app.name,
            label,
            interface,
        };
        let flag = self.flags.iter().find(|flag| flag.label() == label);
        let (owner, name, class) = match flag.filter(|_| interface == Interface::KeyValue) {
            Some(flag) => {
                self.place_by_flag(app, wanted, flag);
                (app.name.clone(), label.to_owned(), flag.class())
            }
            None => {
                let place = self.declared_place(app, wanted)?;
                let backend = self.declared.backend_kind(&place.class);
                let beside = flag.map(beside_flag);
                let notes = [place.note.clone(), beside].into_iter().flatten().collect();
                let class = format!("class `{}`", place.class);
                self.placed.add(wanted, class, backend, notes);
                place.keep(wanted, &mut self.bindings);
                self.used.insert(place.class.clone());
                (place.app, place.label, place.class)
            }
        };
        let id = self
            .kept
            .ids
            .get(&app.namespace, &owner, &name, interface)
            .map_err(|error| format!("its id cannot be had: {error}"))?;
        Ok(StoreBinding {
            label: label.to_owned(),
            interface,
            id,
            class,
            nodes: 1,
        })
    }

    /// What the command line says comes before everything else, and changes nothing that was bound.
    fn place_by_flag(&mut self, app: &Entry, wanted: AppLabel<'_>, flag: &StoreFlag) {
        let other = self.declared_place(app, wanted).ok();
        let notes = other.map(|place| instead_of(&place)).into_iter().collect();
        self.placed.add(wanted, flag.class(), flag.kind(), notes);
    }

    fn declared_place(&self, app: &Entry, wanted: AppLabel<'_>) -> Result<Place, String> {
        let AppLabel {
            label, interface, ..
        } = wanted;
        let mut asked = app.spec.stores.iter().flatten();
        let asked = asked.find(|asked| asked.label == label && asked.interface == interface);
        let earlier = self.kept.bindings.get();
        let place = self.declared.resolve(earlier, wanted, asked)?;
        place.ok_or_else(|| match interface {
            Interface::KeyValue => {
                format!("say where that is with --store {label}=URL ({PLACES})")
            }
            Interface::Sql | Interface::Blob => format!(
                "no class answers it; give its class in `stores` of the App: `{{label: {label}, interface: {}, \
                 class: {EMBEDDED_CLASS}}}`",
                interface.as_str()
            ),
        })
    }

    /// Where each label went, a line each, once that can be used; from now on they stay there.
    ///
    /// # Errors
    /// What is bound cannot be kept.
    pub fn settle(self) -> Result<Placed> {
        self.kept.bindings.replace(self.bindings)?;
        Ok(self.placed)
    }

    /// Gives labels of `--store` that no component lists to every component that opens stores: which
    /// labels code opens, only its manifest could tell. `apps` are those of `assignments`, in order.
    ///
    /// # Errors
    /// No component opens a store at all.
    pub fn bind_unlisted(&mut self, apps: &[Entry], assignments: &mut [Assignment]) -> Result<()> {
        for flag in self.flags {
            let components = || assignments.iter().flat_map(|app| &app.components);
            let stores = || {
                let stores = components().flat_map(|component| &component.stores);
                stores.filter(|store| store.interface == Interface::KeyValue)
            };
            if stores().any(|store| store.label == flag.label()) {
                continue;
            }
            ensure!(
                stores().next().is_some(),
                "{}: no component of these apps opens a key-value store",
                flag.class()
            );
            for (app, assignment) in apps.iter().zip(&mut *assignments) {
                let components = assignment.components.iter_mut();
                for component in components.filter(|component| opens_key_value(component)) {
                    let binding = self.bind(app, flag.label(), Interface::KeyValue);
                    let binding = binding.map_err(anyhow::Error::msg)?;
                    component.stores.push(binding);
                }
            }
        }
        Ok(())
    }

    /// Sets up the classes that labels lead to, and waits until each can be used.
    ///
    /// # Errors
    /// A URL cannot be used, or its server does not let us in; the message names the flag or the class.
    pub async fn open(&self, classes: &Arc<StoreClasses>) -> Result<()> {
        let mut folders = Folders::default();
        let mut described: Vec<ClassDescription> = Vec::new();
        for flag in self.flags {
            let class = flag.class();
            ensure!(
                described.iter().all(|other| other.name != class),
                "{class} is there twice"
            );
            let backend = flag.backend(&mut folders).with_context(|| class.clone())?;
            described.push(ClassDescription::new(class, backend));
        }
        for name in &self.used {
            described.push(self.declared.class(name)?);
        }
        let names: Vec<String> = described.iter().map(|class| class.name.clone()).collect();
        let mut health = classes.health();
        classes.replace(described);
        let known = health.wait_for(|health| names.iter().all(|name| health.contains_key(name)));
        let known = known.await.context("the stores are gone")?;
        for name in names {
            if let Some(Err(fault)) = known.get(&name) {
                bail!("{name}: {}: {}", fault.reason, fault.message);
            }
        }
        Ok(())
    }
}

fn opens_key_value(component: &ComponentSpec) -> bool {
    let mut stores = component.stores.iter();
    stores.any(|store| store.interface == Interface::KeyValue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_of_which_nothing_was_said_is_named_with_the_flag() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept {
            ids: StoreIds::open(folder.path()).unwrap(),
            bindings: KeptBindings::open(folder.path()).unwrap(),
        };
        let flags = ["cache=memory:".parse().unwrap()];
        let declared = Declared::default();
        let mut stores = Stores::new(&flags, &declared, &mut kept);
        let app = Entry {
            namespace: "a".into(),
            name: "b".into(),
            port: 0,
            spec: shoal_crds::AppSpec::default(),
        };
        let (kv, sql, blob) = (Interface::KeyValue, Interface::Sql, Interface::Blob);
        let mut class = |label, interface| {
            stores
                .bind(&app, label, interface)
                .map(|binding| binding.class)
        };
        assert_eq!(class("default", kv).unwrap(), "embedded");
        assert_eq!(class("cache", kv).unwrap(), "--store cache");
        let error = class("other", kv).unwrap_err();
        assert!(error.contains("--store other=URL"), "{error}");
        assert_eq!(class("default", sql).unwrap(), "embedded");
        let error = class("cache", sql).unwrap_err();
        assert!(error.contains("interface: Sql"), "{error}");
        assert_eq!(class("pictures", blob).unwrap(), "embedded");
    }
}
