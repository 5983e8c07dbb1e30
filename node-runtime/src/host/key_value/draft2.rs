//! `wasi:keyvalue@0.2.0-draft2`, as Spin serves it.

use bytes::Bytes;
use shoal_stores::key_value::Swap;
use wasmtime::component::{Linker, Resource};

use self::bindings::wasi::keyvalue0_2_0_draft2::{
    atomics::{self, CasError},
    batch,
    store::{self, Error, KeyResponse},
};
use super::{Bucket, Failure, KeyValueHost, KeyValueView, operations::Target, view};
use crate::host::InstanceState;

mod bindings {
    #![allow(missing_docs, reason = "generated; the WIT documents it")]

    wasmtime::component::bindgen!({
        path: "../stores/wit",
        world: "keyvalue-draft2",
        imports: { default: async | trappable },
        with: {
            "wasi:keyvalue/store@0.2.0-draft2.bucket": crate::host::key_value::Bucket,
            "wasi:keyvalue/atomics@0.2.0-draft2.cas": super::Cas,
        },
    });
}

/// A value that a guest saw, to be swapped if it is still there. Its bytes are charged to the guest.
pub struct Cas {
    target: Target,
    key: String,
    seen: Option<Bytes>,
}

impl Cas {
    fn bytes(&self) -> u64 {
        (self.key.len() + self.seen.as_ref().map_or(0, Bytes::len)) as u64
    }
}

impl KeyValueView<'_> {
    fn keep_cas(&mut self, cas: Cas) -> Outcome<Resource<Cas>> {
        self.operations.limiter.passed();
        match self.operations.limiter.keep(cas.bytes()) {
            Ok(()) => Ok(Ok(self.table.push(cas)?)),
            Err(refused) => said(Err(refused.into())),
        }
    }

    fn take(&mut self, cas: Resource<Cas>) -> wasmtime::Result<Cas> {
        let cas = self.table.delete(cas)?;
        self.operations.limiter.release(cas.bytes());
        Ok(cas)
    }
}

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

impl store::Host for KeyValueView<'_> {
    async fn open(&mut self, identifier: String) -> Outcome<Resource<Bucket>> {
        let opened = self.open_label(&identifier);
        said(opened.and_then(|bucket| self.keep(bucket)))
    }
}

impl store::HostBucket for KeyValueView<'_> {
    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Outcome<Option<Vec<u8>>> {
        said(
            self.operations
                .get(self.table.get(&bucket)?.into(), key)
                .await,
        )
    }

    async fn set(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Outcome<()> {
        said(
            self.operations
                .set_many(self.table.get(&bucket)?.into(), vec![(key, value)])
                .await,
        )
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Outcome<()> {
        said(
            self.operations
                .delete_many(self.table.get(&bucket)?.into(), vec![key])
                .await,
        )
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Outcome<bool> {
        said(
            self.operations
                .exists(self.table.get(&bucket)?.into(), key)
                .await,
        )
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<String>,
    ) -> Outcome<KeyResponse> {
        let page = self
            .operations
            .page(self.table.get(&bucket)?.into(), cursor)
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
    ) -> Outcome<Vec<(String, Option<Vec<u8>>)>> {
        let found = self
            .operations
            .get_many(self.table.get(&bucket)?.into(), keys.clone())
            .await;
        let pairs = |found: Vec<Option<Bytes>>| {
            keys.into_iter()
                .zip(found.into_iter().map(|value| value.map(Vec::from)))
                .collect()
        };
        said(found.map(pairs))
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Outcome<()> {
        said(
            self.operations
                .set_many(self.table.get(&bucket)?.into(), pairs)
                .await,
        )
    }

    async fn delete_many(&mut self, bucket: Resource<Bucket>, keys: Vec<String>) -> Outcome<()> {
        said(
            self.operations
                .delete_many(self.table.get(&bucket)?.into(), keys)
                .await,
        )
    }
}

impl atomics::Host for KeyValueView<'_> {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: i64,
    ) -> Outcome<i64> {
        said(
            self.operations
                .increment(self.table.get(&bucket)?.into(), key, delta)
                .await,
        )
    }

    async fn swap(
        &mut self,
        cas: Resource<Cas>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), CasError>> {
        let Cas { target, key, seen } = self.take(cas)?;
        match self
            .operations
            .compare_and_swap(target, key.clone(), seen, value)
            .await
        {
            Ok(Swap::Done) => Ok(Ok(())),
            Ok(Swap::Lost { current }) => {
                let now = Cas {
                    target,
                    key,
                    seen: current,
                };
                Ok(Err(match self.keep_cas(now)? {
                    Ok(now) => CasError::CasFailed(now),
                    Err(error) => CasError::StoreError(error),
                }))
            }
            Err(failure) => Ok(Err(CasError::StoreError(failure.into()))),
        }
    }
}

impl atomics::HostCas for KeyValueView<'_> {
    async fn new(&mut self, bucket: Resource<Bucket>, key: String) -> Outcome<Resource<Cas>> {
        let target: Target = self.table.get(&bucket)?.into();
        match self.operations.get_many(target, vec![key.clone()]).await {
            Ok(found) => {
                let seen = found.into_iter().next().flatten();
                self.keep_cas(Cas { target, key, seen })
            }
            Err(failure) => said(Err(failure)),
        }
    }

    async fn current(&mut self, cas: Resource<Cas>) -> Outcome<Option<Vec<u8>>> {
        let seen = self.table.get(&cas)?.seen.clone();
        let passes = self.operations.pass(seen.as_ref().map_or(0, Bytes::len));
        said(passes.map(|()| seen.map(|value| value.to_vec())))
    }

    async fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.take(cas)?;
        Ok(())
    }
}
