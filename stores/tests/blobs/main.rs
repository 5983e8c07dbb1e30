//! Objects, on every backend.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[macro_use]
mod backends;
mod backup;
mod contract;
mod disk_full;
mod embedded;
mod isolation;
mod kill;
#[path = "../proxy/mod.rs"]
mod proxy;
mod remote;
mod s3;
mod s3_faults;
#[path = "../s3_server/mod.rs"]
mod s3_server;
#[path = "../served/mod.rs"]
mod served;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use shoal_stores::{
    BlobError, Blobs, StoreId, StoreLimits,
    blob::{ByteRange, Content},
};

/// Bounds that do not matter.
pub(crate) const WIDE: StoreLimits = StoreLimits {
    key_bytes: 1024,
    value_bytes: 1 << 40,
    keys: None,
    bytes: None,
};

/// Content of pieces.
pub(crate) fn pieces(pieces: Vec<Result<Bytes, BlobError>>) -> Content {
    stream::iter(pieces).boxed()
}

/// Content of one kind of byte.
pub(crate) fn filled(byte: u8, bytes: usize) -> Content {
    let whole = Bytes::from(vec![byte; bytes]);
    let cut = move |at: usize| Ok(whole.slice(at..(at + 60_000).min(bytes)));
    stream::iter((0..bytes).step_by(60_000).map(cut).collect::<Vec<_>>()).boxed()
}

pub(crate) async fn write(
    blobs: &dyn Blobs,
    store: StoreId,
    name: &str,
    content: &[u8],
) -> Result<(), BlobError> {
    let content = pieces(vec![Ok(Bytes::copy_from_slice(content))]);
    blobs.write(store, name.to_owned(), content, WIDE).await
}

pub(crate) async fn read(
    blobs: &dyn Blobs,
    store: StoreId,
    name: &str,
) -> Result<Vec<u8>, BlobError> {
    part(blobs, store, name, 0, u64::MAX).await
}

pub(crate) async fn part(
    blobs: &dyn Blobs,
    store: StoreId,
    name: &str,
    first: u64,
    last: u64,
) -> Result<Vec<u8>, BlobError> {
    let range = ByteRange { first, last };
    let opened = blobs.read(store, name.to_owned(), range).await?;
    let bytes = opened.bytes;
    let all: Vec<Bytes> = opened.content.try_collect().await?;
    assert_eq!(all.iter().map(Bytes::len).sum::<usize>() as u64, bytes);
    Ok(all.concat())
}

/// All names, a few at a time.
pub(crate) async fn names(blobs: &dyn Blobs, store: StoreId, limit: u32) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = blobs.list(store, after.clone(), limit).await.unwrap();
        assert!(page.names.len() <= limit as usize);
        all.extend(page.names);
        if !page.more {
            return all;
        }
        let last = all.last().cloned();
        assert_ne!(last, after, "a listing stands still");
        after = last;
    }
}
