//! What housekeeping asks of a class, whatever interfaces its Stores are opened through.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Backend, Blobs, Health, StoreId, Usage};

/// The data of a class. Errors are words for people.
#[async_trait]
pub(super) trait Holdings: Send + Sync {
    /// How the class does.
    async fn health(&self) -> Health;

    /// What a Store holds.
    async fn usage(&self, store: StoreId) -> Result<Usage, String>;

    /// Removes all that a Store holds.
    async fn purge(&self, store: StoreId) -> Result<(), String>;
}

/// Values under keys.
pub(super) struct Keys(pub(super) Arc<dyn Backend>);

/// Objects.
pub(super) struct Objects(pub(super) Arc<dyn Blobs>);

/// Both. A Store's id is that of one interface: under the other there is nothing.
pub(super) struct KeysAndObjects(pub(super) Keys, pub(super) Objects);

#[async_trait]
impl Holdings for Keys {
    async fn health(&self) -> Health {
        self.0.health().await
    }

    async fn usage(&self, store: StoreId) -> Result<Usage, String> {
        self.0.usage(store).await.map_err(|error| error.to_string())
    }

    async fn purge(&self, store: StoreId) -> Result<(), String> {
        self.0.purge(store).await.map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Holdings for Objects {
    async fn health(&self) -> Health {
        self.0.health().await
    }

    async fn usage(&self, store: StoreId) -> Result<Usage, String> {
        self.0.usage(store).await.map_err(|error| error.to_string())
    }

    async fn purge(&self, store: StoreId) -> Result<(), String> {
        self.0.clear(store).await.map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Holdings for KeysAndObjects {
    async fn health(&self) -> Health {
        match self.0.health().await {
            Health::Reachable => self.1.health().await,
            failing => failing,
        }
    }

    async fn usage(&self, store: StoreId) -> Result<Usage, String> {
        let (keys, objects) = (self.0.usage(store).await?, self.1.usage(store).await?);
        Ok(Usage {
            keys: keys.keys + objects.keys,
            bytes: keys.bytes + objects.bytes,
        })
    }

    async fn purge(&self, store: StoreId) -> Result<(), String> {
        self.0.purge(store).await?;
        self.1.purge(store).await
    }
}
