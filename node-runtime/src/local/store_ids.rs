//! Which Store each label of each app has, kept in a file.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use shoal_crds::Interface;
use shoal_protocol::state_file;
use shoal_stores::StoreId;

const NAME: &str = "stores.json";
const MOST_BYTES: u64 = 64 << 20;

/// Ids by `namespace/app/label`, and `/Sql` for what is no key-value store. An id, once given, stays.
pub struct StoreIds {
    path: PathBuf,
    ids: BTreeMap<String, String>,
}

impl StoreIds {
    /// The ids that are kept in `folder`.
    ///
    /// # Errors
    /// The file is there and cannot be read: data would seem to be lost.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(NAME);
        let ids = match state_file::read(&path, MOST_BYTES) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, ids })
    }

    /// The id of a label's Store; made, and kept before it is used, where there is none.
    ///
    /// # Errors
    /// A new id cannot be kept, or the kept one is no id.
    pub fn get(
        &mut self,
        namespace: &str,
        app: &str,
        label: &str,
        interface: Interface,
    ) -> io::Result<StoreId> {
        let mut name = format!("{namespace}/{app}/{label}");
        if interface != Interface::KeyValue {
            name = format!("{name}/{}", interface.as_str());
        }
        if let Some(id) = self.ids.get(&name) {
            return id.parse().map_err(io::Error::other);
        }
        let id = StoreId::random();
        self.ids.insert(name, id.to_string());
        let bytes = serde_json::to_vec_pretty(&self.ids).map_err(io::Error::other)?;
        state_file::replace(&self.path, &bytes)?;
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_finds_its_store_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut ids = StoreIds::open(folder.path()).unwrap();
        let kv = Interface::KeyValue;
        let id = ids.get("a", "b", "default", kv).unwrap();
        assert_ne!(ids.get("a", "c", "default", kv).unwrap(), id);
        assert_ne!(ids.get("a", "b", "default", Interface::Sql).unwrap(), id);
        assert_eq!(
            StoreIds::open(folder.path())
                .unwrap()
                .get("a", "b", "default", kv)
                .unwrap(),
            id
        );

        std::fs::write(folder.path().join(NAME), "nonsense").unwrap();
        assert!(
            StoreIds::open(folder.path()).is_err(),
            "data would seem to be lost"
        );
    }
}
