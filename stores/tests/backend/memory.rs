//! Memory of this process.

use std::sync::Arc;

use async_trait::async_trait;
use shoal_stores::{KeyValue, Memory, StoreId, memory::MemoryOptions};

use super::{Backend, Opened};

struct InMemory;

pub async fn start() -> Result<Box<dyn Backend>, String> {
    Ok(Box::new(InMemory))
}

#[async_trait]
impl Backend for InMemory {
    async fn open(&self, _: &[StoreId]) -> Box<dyn Opened> {
        Box::new(Held(Arc::new(Memory::new(MemoryOptions::default()))))
    }
}

struct Held(Arc<Memory>);

#[async_trait]
impl Opened for Held {
    fn of(&self, _: StoreId) -> Arc<dyn KeyValue> {
        self.0.clone()
    }

    async fn reopen(&mut self) {
        // What it holds ends with the process, which does not end here.
    }
}
