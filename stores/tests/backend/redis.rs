//! A Redis server of the test's own.

use std::sync::Arc;

use async_trait::async_trait;
use shoal_stores::{KeyValue, Redis, StoreId};

use super::{Backend, Opened};

#[path = "../redis_server/mod.rs"]
pub mod redis_server;
use redis_server::RedisServer;

struct Server(Arc<RedisServer>);

pub async fn start() -> Result<Box<dyn Backend>, String> {
    let server = RedisServer::try_start(&[]).await?;
    Ok(Box::new(Server(Arc::new(server))))
}

#[async_trait]
impl Backend for Server {
    async fn open(&self, _: &[StoreId]) -> Box<dyn Opened> {
        let server = self.0.clone();
        let stores = Arc::new(server.stores());
        Box::new(Connected { stores, server })
    }
}

struct Connected {
    stores: Arc<Redis>,
    server: Arc<RedisServer>,
}

#[async_trait]
impl Opened for Connected {
    fn of(&self, _: StoreId) -> Arc<dyn KeyValue> {
        self.stores.clone()
    }

    async fn reopen(&mut self) {
        // The server forgets what it may forget, too.
        self.server.admin(&["SCRIPT", "FLUSH"]).await;
        self.stores = Arc::new(self.server.stores());
    }
}
