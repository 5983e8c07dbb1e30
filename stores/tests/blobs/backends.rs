//! The backends that every test of the contract runs on.

use std::sync::Arc;

use shoal_protocol::Role;
use shoal_stores::{Blobs, EmbeddedBlobs, StoreId, embedded::Durability};

use crate::{s3_server::S3Server, served::Served};

/// Stores that are open, with what has to run for them.
pub struct Backend {
    pub blobs: Arc<dyn Blobs>,
    /// As an operator reaches it, who may count.
    pub for_operator: Arc<dyn Blobs>,
    _runs: Box<dyn Send + Sync>,
}

/// In this process.
pub async fn embedded(_: &[StoreId]) -> Result<Backend, String> {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Arc::new(EmbeddedBlobs::open(folder.path(), Durability::Relaxed).unwrap());
    Ok(Backend {
        blobs: blobs.clone(),
        for_operator: blobs,
        _runs: Box::new(folder),
    })
}

/// Behind gRPC.
pub async fn remote(stores: &[StoreId]) -> Result<Backend, String> {
    let served = Served::start(&[("pod", stores)]);
    Ok(Backend {
        blobs: Arc::new(served.blobs("pod")),
        for_operator: Arc::new(served.blobs_of(Role::Operator, "operator")),
        _runs: Box::new(served),
    })
}

/// On a real server.
pub async fn s3(_: &[StoreId]) -> Result<Backend, String> {
    let server = S3Server::try_start().await?;
    let blobs = Arc::new(server.open("shoal"));
    Ok(Backend {
        blobs: blobs.clone(),
        for_operator: blobs,
        _runs: Box::new(server),
    })
}

/// Makes `async fn $test(Backend, [StoreId; 3])` a test on each backend, in a module of its name.
macro_rules! on_every_backend {
    ($($test:ident),* $(,)?) => {
        $(mod $test {
            on_every_backend!(@each $test: embedded, remote, s3);
        })*
    };
    (@each $test:ident: $($backend:ident),*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $backend() {
            let stores = std::array::from_fn(|_| shoal_stores::StoreId::random());
            match $crate::backends::$backend(&stores).await {
                Ok(backend) => super::$test(backend, stores).await,
                Err(why) => shoal_skip::skipped(format_args!("{} on {}: {why}", module_path!(), stringify!($backend))),
            }
        })*
    };
}
