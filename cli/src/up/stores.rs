//! Which stores the labels of apps open: those of the state folder, or what `--store` says.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use shoal_crds::{EMBEDDED_CLASS, Interface};
use shoal_runtime::local::{Entry, StoreIds};
use shoal_runtime::stores::{ClassBackend, ClassDescription};
use shoal_runtime::{Assignment, ComponentSpec, StoreBinding, StoreClasses};
use shoal_stores::embedded::{Durability, EmbeddedOptions};
use shoal_stores::postgres::{PostgresOptions, Secret};
use shoal_stores::{Backend, Embedded, Postgres, Redis, RedisOptions};

use super::declared::{Declared, Place};

/// How embedded stores work here: what was acknowledged outlives this process, however it ends; nobody
/// waits for the disk at each write.
pub const ON_A_LAPTOP: EmbeddedOptions = EmbeddedOptions {
    durability: Durability::Relaxed,
    ..EmbeddedOptions::DURABLE
};

/// What a place may look like, for messages.
const PLACES: &str = "redis://..., rediss://..., postgres://..., sqlite:FOLDER or memory:";

/// One `--store LABEL=URL`.
#[derive(Clone)]
pub struct StoreFlag {
    label: String,
    url: Url,
}

/// Where the data of a label is.
#[derive(Clone)]
enum Url {
    Redis(String),
    Postgres(String),
    Sqlite(PathBuf),
    Memory,
}

impl FromStr for StoreFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (label, url) = text
            .split_once('=')
            .filter(|(label, _)| !label.is_empty())
            .ok_or("it is to be LABEL=URL")?;
        let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
        let url = match scheme {
            "redis" | "rediss" => Url::Redis(url.to_owned()),
            "postgres" | "postgresql" => Url::Postgres(url.to_owned()),
            "memory" if url == "memory:" => Url::Memory,
            "sqlite" => Url::Sqlite(folder(url)?),
            _ => return Err(format!("the URL is to be one of {PLACES}")),
        };
        let label = label.to_owned();
        Ok(Self { label, url })
    }
}

fn folder(url: &str) -> Result<PathBuf, String> {
    let path = url.trim_start_matches("sqlite:");
    // An empty authority, as in `sqlite:///folder`.
    let path = path.strip_prefix("//").unwrap_or(path);
    match path {
        "" | ":memory:" => Err("it is to be sqlite:FOLDER; for a store in memory, memory:".into()),
        path => Ok(path.into()),
    }
}

impl StoreFlag {
    /// What messages to guests call it by.
    fn class(&self) -> String {
        format!("--store {}", self.label)
    }

    fn backend(&self, folders: &mut Folders) -> Result<ClassBackend> {
        Ok(match &self.url {
            Url::Redis(url) => {
                let options = RedisOptions {
                    url: url.clone(),
                    ..RedisOptions::default()
                };
                Redis::new(&options)?;
                ClassBackend::Redis(options)
            }
            Url::Postgres(url) => {
                let options = PostgresOptions::new(Secret::new(url.clone()));
                Postgres::new(&options)?;
                ClassBackend::Postgres(options)
            }
            Url::Sqlite(path) => ClassBackend::Own(folders.open(path)?),
            Url::Memory => ClassBackend::Memory,
        })
    }
}

/// Folders that were opened: two labels may name one.
#[derive(Default)]
struct Folders(HashMap<PathBuf, Arc<dyn Backend>>);

impl Folders {
    fn open(&mut self, path: &Path) -> Result<Arc<dyn Backend>> {
        ensure!(
            !path.is_file(),
            "{} is a file; give a folder",
            path.display()
        );
        std::fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
        let path = path.canonicalize()?;
        if let Some(open) = self.0.get(&path) {
            return Ok(Arc::clone(open));
        }
        let open: Arc<dyn Backend> = Arc::new(Embedded::open(&path, ON_A_LAPTOP)?);
        self.0.insert(path, Arc::clone(&open));
        Ok(open)
    }
}

/// Where labels lead: to what `--store` says, else to what the manifest says.
pub struct Stores<'a> {
    flags: &'a [StoreFlag],
    declared: &'a Declared,
    ids: &'a mut StoreIds,
    /// Classes of the manifest that some label leads to.
    used: BTreeSet<String>,
}

impl<'a> Stores<'a> {
    /// Of these flags and this manifest; ids are kept in `ids`.
    pub fn new(flags: &'a [StoreFlag], declared: &'a Declared, ids: &'a mut StoreIds) -> Self {
        Self {
            flags,
            declared,
            ids,
            used: BTreeSet::new(),
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
        let flag = self.flags.iter().find(|flag| flag.label == label);
        // What flags name are key-value stores.
        let flag = flag.filter(|_| interface == Interface::KeyValue);
        let Place {
            app: owner,
            label: name,
            class,
        } = match flag {
            Some(flag) => Place {
                app: app.name.clone(),
                label: label.to_owned(),
                class: flag.class(),
            },
            None => self.declared_place(app, label, interface)?,
        };
        let id = self
            .ids
            .get(&app.namespace, &owner, &name, interface)
            .map_err(|error| format!("its id cannot be had: {error}"))?;
        if flag.is_none() {
            self.used.insert(class.clone());
        }
        Ok(StoreBinding {
            label: label.to_owned(),
            interface,
            id,
            class,
            nodes: 1,
        })
    }

    fn declared_place(
        &self,
        app: &Entry,
        label: &str,
        interface: Interface,
    ) -> Result<Place, String> {
        let mut asked = app.spec.stores.iter().flatten();
        let asked = asked.find(|asked| asked.label == label && asked.interface == interface);
        let place = self
            .declared
            .resolve(&app.namespace, &app.name, label, interface, asked)?;
        if interface == Interface::Blob && place.is_none() {
            // Which class a cluster would have chosen is not known here; a folder does as well.
            return Ok(Place {
                app: app.name.clone(),
                label: label.to_owned(),
                class: EMBEDDED_CLASS.to_owned(),
            });
        }
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
            if stores().any(|store| store.label == flag.label) {
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
                    let binding = self.bind(app, &flag.label, Interface::KeyValue);
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
    fn a_flag_names_a_label_and_a_place() {
        for good in [
            "default=redis://localhost",
            "default=rediss://u:p@h:1/2",
            "a=postgres://u:p@h/d?x=y",
            "a=postgresql://h/d",
            "a=sqlite:data",
            "a=memory:",
        ] {
            assert!(good.parse::<StoreFlag>().is_ok(), "{good}");
        }
        for (wrong, named) in [
            ("memory:", "LABEL=URL"),
            ("=memory:", "LABEL=URL"),
            ("a=memory:x", "memory:"),
            ("a=memory", "memory:"),
            ("a=mysql://h", "redis://"),
            ("a=sqlite:", "sqlite:FOLDER"),
            ("a=sqlite::memory:", "memory:"),
        ] {
            let error = wrong.parse::<StoreFlag>().err().unwrap();
            assert!(error.contains(named), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_folder_may_be_relative_or_not_and_have_an_empty_authority() {
        assert_eq!(folder("sqlite:a/b").unwrap(), Path::new("a/b"));
        assert_eq!(folder("sqlite:/a").unwrap(), Path::new("/a"));
        assert_eq!(folder("sqlite:///a").unwrap(), Path::new("/a"));
    }

    #[test]
    fn a_label_of_which_nothing_was_said_is_named_with_the_flag() {
        let folder = tempfile::tempdir().unwrap();
        let mut ids = StoreIds::open(folder.path()).unwrap();
        let flags = ["cache=memory:".parse().unwrap()];
        let declared = Declared::default();
        let mut stores = Stores::new(&flags, &declared, &mut ids);
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
