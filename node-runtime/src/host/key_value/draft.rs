//! `wasi:keyvalue@0.2.0-draft`, as Wasmtime's own host serves it.
//!
//! Its cursors are numbers, so they count keys from the first: a listing while others write may
//! miss a key or show one twice, as the interface allows.

use bytes::Bytes;
use wasmtime::component::{Linker, Resource};

use self::bindings::wasi::keyvalue0_2_0_draft::{
    atomics, batch,
    store::{self, Error, KeyResponse},
};
use super::{
    Bucket, Failure, KeyValueHost, KeyValueView,
    operations::{Operations, Target},
    view,
};
use crate::host::InstanceState;

mod bindings {
    #![allow(missing_docs, reason = "generated; the WIT documents it")]

    wasmtime::component::bindgen!({
        path: "../stores/wit",
        world: "keyvalue-draft",
        imports: { default: async | trappable },
        with: {
            "wasi:keyvalue/store@0.2.0-draft.bucket": crate::host::key_value::Bucket,
        },
    });
}

/// Pages that are skipped at most to reach a cursor.
const SKIPPED_PAGES: u64 = 1000;

pub(super) fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, KeyValueHost>(linker, view)?;
    atomics::add_to_linker::<_, KeyValueHost>(linker, view)?;
    batch::add_to_linker::<_, KeyValueHost>(linker, view)
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoSuchStore => Self::NoSuchStore,
            Failure::AccessDenied => Self::AccessDenied,
            Failure::TooManyOpen => Self::Other(Failure::too_many_open()),
            Failure::Other(message) => Self::Other(message),
        }
    }
}

type Outcome<T> = wasmtime::Result<Result<T, Error>>;

fn said<T>(result: Result<T, Failure>) -> Outcome<T> {
    Ok(result.map_err(Error::from))
}

impl Operations<'_> {
    /// The page that starts at key number `start`, and the number that the next one starts at.
    async fn numbered_page(
        &mut self,
        store: Target,
        start: u64,
    ) -> Result<(Vec<String>, Option<u64>), Failure> {
        let (mut after, mut number) = (None, 0_u64);
        for _ in 0..SKIPPED_PAGES {
            let (keys, next) = self.page(store, after).await?;
            let end = number.saturating_add(keys.len() as u64);
            if start < end || next.is_none() {
                let skip = usize::try_from(start.saturating_sub(number)).unwrap_or(usize::MAX);
                return Ok((keys.into_iter().skip(skip).collect(), next.map(|_| end)));
            }
            (after, number) = (next, end);
        }
        Err(Failure::Other(
            "the cursor is beyond what can be listed".into(),
        ))
    }
}

impl store::Host for KeyValueView<'_> {
    async fn open(&mut self, identifier: String) -> Outcome<Resource<Bucket>> {
        let opened = self.open_label(&identifier);
        said(opened.and_then(|bucket| self.keep(bucket)))
    }
}

impl store::HostBucket for KeyValueView<'_> {
    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Outcome<Option<Vec<u8>>> {
        let target = self.table.get(&bucket)?.into();
        said(self.operations.get(target, key).await)
    }

    async fn set(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Outcome<()> {
        let target = self.table.get(&bucket)?.into();
        said(self.operations.set_many(target, vec![(key, value)]).await)
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Outcome<()> {
        let target = self.table.get(&bucket)?.into();
        said(self.operations.delete_many(target, vec![key]).await)
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Outcome<bool> {
        let target = self.table.get(&bucket)?.into();
        said(self.operations.exists(target, key).await)
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> Outcome<KeyResponse> {
        let target = self.table.get(&bucket)?.into();
        let page = self
            .operations
            .numbered_page(target, cursor.unwrap_or(0))
            .await;
        said(page.map(|(keys, cursor)| KeyResponse { keys, cursor }))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl batch::Host for KeyValueView<'_> {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Outcome<Vec<Option<(String, Vec<u8>)>>> {
        let target = self.table.get(&bucket)?.into();
        let found = self.operations.get_many(target, keys.clone()).await;
        let entry = |(key, value): (String, Option<Bytes>)| value.map(|value| (key, value.into()));
        said(found.map(|found| keys.into_iter().zip(found).map(entry).collect()))
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Outcome<()> {
        let target = self.table.get(&bucket)?.into();
        said(self.operations.set_many(target, pairs).await)
    }

    async fn delete_many(&mut self, bucket: Resource<Bucket>, keys: Vec<String>) -> Outcome<()> {
        let target = self.table.get(&bucket)?.into();
        said(self.operations.delete_many(target, keys).await)
    }
}

impl atomics::Host for KeyValueView<'_> {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> Outcome<u64> {
        let target = self.table.get(&bucket)?.into();
        let Ok(delta) = i64::try_from(delta) else {
            return said(Err(Failure::Other(format!(
                "the delta {delta} is beyond 64 bits signed"
            ))));
        };
        let sum = self.operations.increment(target, key, delta).await;
        let unsigned = |sum: i64| {
            u64::try_from(sum).map_err(|_| Failure::Other(format!("the sum {sum} is below zero")))
        };
        said(sum.and_then(unsigned))
    }
}
