//! A Postgres of the test's own.

use std::sync::Arc;

use async_trait::async_trait;
use shoal_stores::{
    KeyValue, Postgres, StoreId,
    postgres::{PostgresOptions, Secret},
};

use super::{Backend, Opened, server::Server};

pub async fn start() -> Result<Box<dyn Backend>, String> {
    Ok(Box::new(Server::start().await?))
}

/// Options that reach the database at `url`.
pub fn options(url: &str) -> PostgresOptions {
    PostgresOptions::new(Secret::new(url))
}

#[async_trait]
impl Backend for Server {
    async fn open(&self, _: &[StoreId]) -> Box<dyn Opened> {
        let options = options(&self.url());
        let stores = Arc::new(Postgres::new(&options).unwrap());
        Box::new(Database { stores, options })
    }
}

struct Database {
    stores: Arc<Postgres>,
    options: PostgresOptions,
}

#[async_trait]
impl Opened for Database {
    fn of(&self, _: StoreId) -> Arc<dyn KeyValue> {
        self.stores.clone()
    }

    async fn reopen(&mut self) {
        self.stores = Arc::new(Postgres::new(&self.options).unwrap());
    }
}
