//! `--store LABEL=URL`: another place for a key-value store.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use shoal_runtime::stores::ClassBackend;
use shoal_stores::embedded::{Durability, EmbeddedOptions};
use shoal_stores::postgres::{PostgresOptions, Secret};
use shoal_stores::{Backend, Embedded, Postgres, Redis, RedisOptions};

/// How embedded stores work here: what was acknowledged outlives this process, however it ends; nobody
/// waits for the disk at each write.
pub const ON_A_LAPTOP: EmbeddedOptions = EmbeddedOptions {
    durability: Durability::Relaxed,
    ..EmbeddedOptions::DURABLE
};

/// What a place may look like, for messages.
pub const PLACES: &str = "redis://..., rediss://..., postgres://..., sqlite:FOLDER or memory:";

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
    /// The label that it is for.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Kind of the place, without where it is.
    pub fn kind(&self) -> &'static str {
        match self.url {
            Url::Redis(_) => "redis",
            Url::Postgres(_) => "postgres",
            Url::Sqlite(_) => "sqlite",
            Url::Memory => "memory",
        }
    }

    /// What messages to guests call it by.
    pub fn class(&self) -> String {
        format!("--store {}", self.label)
    }

    /// What a node opens there.
    ///
    /// # Errors
    /// The URL or the folder cannot be used.
    pub fn backend(&self, folders: &mut Folders) -> Result<ClassBackend> {
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
pub struct Folders(HashMap<PathBuf, Arc<dyn Backend>>);

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
}
