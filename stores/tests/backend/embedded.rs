//! SQLite files of this process.

use std::sync::Arc;

use async_trait::async_trait;
use shoal_stores::{
    Embedded, KeyValue, StoreId,
    embedded::{Durability, EmbeddedOptions},
};
use tempfile::TempDir;

use super::{Backend, Opened};

/// One file for all Stores: what is done to one has every chance to show in another.
const OPTIONS: EmbeddedOptions = EmbeddedOptions {
    durability: Durability::Relaxed,
    shards: 1,
    readers: 1,
};

struct Files;

pub async fn start() -> Result<Box<dyn Backend>, String> {
    Ok(Box::new(Files))
}

#[async_trait]
impl Backend for Files {
    async fn open(&self, _: &[StoreId]) -> Box<dyn Opened> {
        let folder = tempfile::tempdir().unwrap();
        let stores = Some(Arc::new(Embedded::open(folder.path(), OPTIONS).unwrap()));
        Box::new(Folder { stores, folder })
    }
}

struct Folder {
    stores: Option<Arc<Embedded>>,
    folder: TempDir,
}

#[async_trait]
impl Opened for Folder {
    fn of(&self, _: StoreId) -> Arc<dyn KeyValue> {
        self.stores.clone().unwrap()
    }

    async fn reopen(&mut self) {
        // The files are closed before they are opened again.
        drop(self.stores.take());
        self.stores = Some(Arc::new(
            Embedded::open(self.folder.path(), OPTIONS).unwrap(),
        ));
    }
}
