//! What housekeeping asks of a class, whatever interfaces its Stores are opened through.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Backend, Blobs, EmbeddedSql, Health, StoreId, Usage};

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

/// SQL databases.
pub(super) struct Databases(pub(super) Arc<EmbeddedSql>);

/// All of these. A Store's id is that of one interface: under the others there is nothing.
pub(super) struct Every(pub(super) Vec<Arc<dyn Holdings>>);

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
impl Holdings for Databases {
    async fn health(&self) -> Health {
        self.0.health().await
    }

    /// A database has no keys.
    async fn usage(&self, store: StoreId) -> Result<Usage, String> {
        let bytes = self.0.bytes(store).await;
        let bytes = bytes.map_err(|error| error.to_string())?;
        Ok(Usage { keys: 0, bytes })
    }

    async fn purge(&self, store: StoreId) -> Result<(), String> {
        self.0
            .remove(store)
            .await
            .map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Holdings for Every {
    async fn health(&self) -> Health {
        for one in &self.0 {
            match one.health().await {
                Health::Reachable => {}
                failing => return failing,
            }
        }
        Health::Reachable
    }

    async fn usage(&self, store: StoreId) -> Result<Usage, String> {
        let mut all = Usage::default();
        for one in &self.0 {
            let Usage { keys, bytes } = one.usage(store).await?;
            all.keys += keys;
            all.bytes += bytes;
        }
        Ok(all)
    }

    async fn purge(&self, store: StoreId) -> Result<(), String> {
        for one in &self.0 {
            one.purge(store).await?;
        }
        Ok(())
    }
}
