//! `.shoal/`: what `shoal up` keeps between runs.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use shoal_builder::{BuilderHandle, Options};
use shoal_stores::embedded::EmbeddedOptions;
use shoal_stores::{Embedded, KeyValue, StoreId};

/// Which id belongs to `namespace/app/label`.
const STORES: &str = "stores.json";

/// The folder, held by this process alone.
pub struct StateFolder {
    path: PathBuf,
    _lock: File,
}

impl StateFolder {
    /// Opens the folder, or makes it, for this user only.
    ///
    /// # Errors
    /// It cannot be made, or another `shoal up` uses it.
    pub fn open(path: &Path) -> Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot make the state folder {}", path.display()))?;
        let path = path
            .canonicalize()
            .with_context(|| format!("cannot find where {} is", path.display()))?;
        // For a folder that a version control system looks at.
        let ignore = path.join(".gitignore");
        if !ignore.exists() {
            std::fs::write(&ignore, "*\n")
                .with_context(|| format!("cannot write {}", ignore.display()))?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .with_context(|| format!("cannot use the state folder {}", path.display()))?;
        if lock.try_lock().is_err() {
            bail!(
                "another `shoal up` uses {}; end it, or give this one a folder with --state",
                path.display()
            );
        }
        Ok(Self { path, _lock: lock })
    }

    /// The builder, with its key and cache here.
    ///
    /// # Errors
    /// They cannot be used.
    pub fn builder(&self) -> Result<BuilderHandle> {
        let options = Options {
            local_files: true,
            ..Options::new(self.path.join("builder"))
        };
        Ok(BuilderHandle::open(options)?)
    }

    /// The stores, with their data here.
    ///
    /// # Errors
    /// They cannot be used.
    pub fn stores(&self) -> Result<Arc<dyn KeyValue>> {
        let folder = self.path.join("stores");
        Ok(Arc::new(Embedded::open(
            &folder,
            EmbeddedOptions::default(),
        )?))
    }

    /// The folder for the node's code.
    pub fn node(&self) -> PathBuf {
        self.path.join("node")
    }

    /// The ids of these `namespace/app/label`, the same in every run; new ones are written down before
    /// they are given out.
    ///
    /// # Errors
    /// The list of ids cannot be read or written.
    pub fn store_ids(&self, names: &[String]) -> Result<BTreeMap<String, StoreId>> {
        let path = self.path.join(STORES);
        let mut known = read_ids(&path).with_context(|| format!("in {}", path.display()))?;
        let before = known.len();
        for name in names {
            known.entry(name.clone()).or_insert_with(StoreId::random);
        }
        if known.len() > before {
            write_ids(&path, &known).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(known)
    }
}

fn read_ids(path: &Path) -> Result<BTreeMap<String, StoreId>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.into()),
    };
    let texts: BTreeMap<String, String> = serde_json::from_str(&text)?;
    texts
        .into_iter()
        .map(|(name, id)| Ok((name, id.parse()?)))
        .collect()
}

/// Written aside and renamed: a list that was lost would hide all data.
fn write_ids(path: &Path, ids: &BTreeMap<String, StoreId>) -> Result<()> {
    let texts: BTreeMap<&String, String> = ids
        .iter()
        .map(|(name, id)| (name, id.to_string()))
        .collect();
    let aside = path.with_extension("partial");
    std::fs::write(&aside, serde_json::to_vec_pretty(&texts)?)?;
    File::open(&aside)?.sync_all()?;
    std::fs::rename(&aside, path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_finds_its_store_again_and_another_gets_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "default/a/default".to_owned(),
            "default/b/default".to_owned(),
        ];
        let first = StateFolder::open(folder.path())
            .unwrap()
            .store_ids(&names)
            .unwrap();
        assert_ne!(first[&names[0]], first[&names[1]]);
        let again = StateFolder::open(folder.path())
            .unwrap()
            .store_ids(&names[..1])
            .unwrap();
        assert_eq!(first, again);
    }

    #[test]
    fn a_folder_is_used_by_one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = StateFolder::open(folder.path()).unwrap();
        let error = StateFolder::open(folder.path()).err().unwrap();
        assert!(error.to_string().contains("another `shoal up`"), "{error}");
        drop(held);
        assert!(StateFolder::open(folder.path()).is_ok());
    }

    #[test]
    fn a_damaged_list_of_ids_is_an_error_and_not_an_empty_list() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::open(folder.path()).unwrap();
        std::fs::write(folder.path().join(STORES), "{\"a\": \"no id\"}").unwrap();
        assert!(state.store_ids(&[]).is_err());
    }
}
