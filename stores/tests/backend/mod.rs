//! The backends that every test of the contract runs on. To add one: a module beside these with a
//! `start`, and its name in `on_every_backend`.
#![allow(dead_code, reason = "each test file uses some of it")]

pub mod embedded;
pub mod memory;
pub mod postgres;
pub mod redis;
pub mod remote;
pub mod remote_memory;
#[path = "../served/mod.rs"]
pub mod served;
pub mod server;

use std::sync::Arc;

use async_trait::async_trait;
use shoal_stores::{KeyValue, StoreId};

/// A kind of backend, with what has to run for it.
#[async_trait]
pub trait Backend: Send + Sync {
    /// What holds the Stores `ids`, of which each is empty.
    async fn open(&self, ids: &[StoreId]) -> Box<dyn Opened>;
}

/// Stores that are open.
#[async_trait]
pub trait Opened: Send + Sync {
    /// The Store `id` as its own apps reach it.
    fn of(&self, id: StoreId) -> Arc<dyn KeyValue>;

    /// The Store `id` as an operator reaches it, who may count and purge it.
    fn for_operator(&self, id: StoreId) -> Arc<dyn KeyValue> {
        self.of(id)
    }

    /// Ends everything that a node holds, and begins again. What was acknowledged is still there.
    async fn reopen(&mut self);
}

/// Makes `fn $test(&Runtime, &dyn Backend)` a test on each backend, in a module of its name.
#[macro_export]
macro_rules! on_every_backend {
    ($($test:ident),* $(,)?) => {
        $(mod $test {
            $crate::on_every_backend!(@each super::$test: embedded, memory, postgres, redis, remote, remote_memory);
        })*
    };
    (@each $test:path: $($backend:ident),*) => {
        $(#[test]
        fn $backend() {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            match runtime.block_on($crate::backend::$backend::start()) {
                Ok(backend) => $test(&runtime, &*backend),
                Err(why) => shoal_skip::skipped(format_args!("{} on {}: {why}", module_path!(), stringify!($backend))),
            }
        })*
    };
}
