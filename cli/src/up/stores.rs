//! Which stores the labels of apps open: those of the state folder, or what `--store` says.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use shoal_crds::Interface;
use shoal_runtime::local::StoreIds;
use shoal_runtime::stores::{ClassBackend, ClassDescription};
use shoal_runtime::{Assignment, ComponentSpec, StoreBinding, StoreClasses};
use shoal_stores::embedded::EmbeddedOptions;
use shoal_stores::postgres::{PostgresOptions, Secret};
use shoal_stores::{Backend, Embedded, Postgres, Redis, RedisOptions};

/// The label that has a store without being asked for.
const DEFAULT_LABEL: &str = "default";
/// What a place may look like, for messages.
const PLACES: &str = "redis://..., rediss://..., postgres://..., sqlite:FOLDER or memory:";

/// One `--store LABEL=URL`.
#[derive(Clone)]
pub struct StoreFlag {
    label: String,
    place: Place,
}

/// Where the data of a label is.
#[derive(Clone)]
enum Place {
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
        let place = match scheme {
            "redis" | "rediss" => Place::Redis(url.to_owned()),
            "postgres" | "postgresql" => Place::Postgres(url.to_owned()),
            "memory" if url == "memory:" => Place::Memory,
            "sqlite" => Place::Sqlite(folder(url)?),
            _ => return Err(format!("the URL is to be one of {PLACES}")),
        };
        let label = label.to_owned();
        Ok(Self { label, place })
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
        Ok(match &self.place {
            Place::Redis(url) => {
                let options = RedisOptions {
                    url: url.clone(),
                    ..RedisOptions::default()
                };
                Redis::new(&options)?;
                ClassBackend::Redis(options)
            }
            Place::Postgres(url) => {
                let options = PostgresOptions::new(Secret::new(url.clone()));
                Postgres::new(&options)?;
                ClassBackend::Postgres(options)
            }
            Place::Sqlite(path) => ClassBackend::Own(folders.open(path)?),
            Place::Memory => ClassBackend::Memory,
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
        let open: Arc<dyn Backend> = Arc::new(Embedded::open(&path, EmbeddedOptions::default())?);
        self.0.insert(path, Arc::clone(&open));
        Ok(open)
    }
}

/// Sets up the classes of `flags`, and waits until each can be used.
///
/// # Errors
/// A URL cannot be used, or its server does not let us in; the message names the flag.
pub async fn open(classes: &Arc<StoreClasses>, flags: &[StoreFlag]) -> Result<()> {
    let mut folders = Folders::default();
    let mut described: Vec<ClassDescription> = Vec::new();
    for flag in flags {
        let class = flag.class();
        ensure!(
            described.iter().all(|other| other.name != class),
            "{class} is there twice"
        );
        let backend = flag.backend(&mut folders).with_context(|| class.clone())?;
        described.push(ClassDescription::new(class, backend));
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

/// Which Store a label of an app opens.
///
/// # Errors
/// Nothing was said about this label.
pub fn bind(
    flags: &[StoreFlag],
    ids: &mut StoreIds,
    namespace: &str,
    app: &str,
    label: &str,
    interface: Interface,
) -> Result<StoreBinding, String> {
    let flag = match interface {
        Interface::KeyValue => flags.iter().find(|flag| flag.label == label),
        // They have one place.
        Interface::Sql if label != DEFAULT_LABEL => {
            return Err(format!(
                "of SQL databases there is `{DEFAULT_LABEL}` alone here"
            ));
        }
        Interface::Sql => None,
    };
    let class = match flag {
        Some(flag) => flag.class(),
        None if label == DEFAULT_LABEL => shoal_crds::EMBEDDED_CLASS.to_owned(),
        None => {
            return Err(format!(
                "say where that is with --store {label}=URL ({PLACES})"
            ));
        }
    };
    let id = ids
        .get(namespace, app, label, interface)
        .map_err(|error| format!("its id cannot be had: {error}"))?;
    Ok(StoreBinding {
        label: label.to_owned(),
        interface,
        id,
        class,
        nodes: 1,
    })
}

/// Gives labels that no component lists to every component that opens stores: which labels code opens,
/// only its manifest could tell.
///
/// # Errors
/// No component opens a store at all.
pub fn bind_unlisted(
    flags: &[StoreFlag],
    assignments: &mut [Assignment],
    mut bind: impl FnMut(&Assignment, &str) -> Result<StoreBinding, String>,
) -> Result<()> {
    for flag in flags {
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
            "{}: no component of these apps opens a store",
            flag.class()
        );
        for app in &mut *assignments {
            if !app.components.iter().any(opens_key_value) {
                continue;
            }
            let binding = bind(app, &flag.label).map_err(anyhow::Error::msg)?;
            let opening = app.components.iter_mut();
            for component in opening.filter(|component| opens_key_value(component)) {
                component.stores.push(binding.clone());
            }
        }
    }
    Ok(())
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
        let mut class = |label, interface| {
            bind(&flags, &mut ids, "a", "b", label, interface).map(|binding| binding.class)
        };
        let (kv, sql) = (Interface::KeyValue, Interface::Sql);
        assert_eq!(class("default", kv).unwrap(), "embedded");
        assert_eq!(class("cache", kv).unwrap(), "--store cache");
        let error = class("other", kv).unwrap_err();
        assert!(error.contains("--store other=URL"), "{error}");
        assert_eq!(class("default", sql).unwrap(), "embedded");
        assert!(class("cache", sql).is_err());
    }
}
