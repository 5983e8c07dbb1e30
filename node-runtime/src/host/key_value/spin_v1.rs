//! `fermyon:spin/key-value` before it had versions: stores are numbers that the guest keeps, and a
//! wrong one is an error that it can handle.

use wasmtime::component::{Linker, Resource};

use self::bindings::fermyon::spin::key_value::{self, Error};
use super::{Bucket, Failure, KeyValueHost, KeyValueView, operations::Target, view};
use crate::host::InstanceState;

mod bindings {
    #![allow(missing_docs, reason = "generated; the WIT documents it")]

    wasmtime::component::bindgen!({
        path: "../stores/wit",
        world: "spin-key-value-v1",
        imports: { default: async | trappable },
    });
}

/// A store that was opened here: a number of another interface's store is none of these.
struct Numbered(Bucket);

pub(super) fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    key_value::add_to_linker::<_, KeyValueHost>(linker, view)
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            // As in the second version.
            Failure::NoSuchStore | Failure::AccessDenied => Self::AccessDenied,
            Failure::TooManyOpen => Self::StoreTableFull,
            Failure::Other(message) => Self::Io(message),
        }
    }
}

type Outcome<T> = wasmtime::Result<Result<T, Error>>;

impl KeyValueView<'_> {
    fn numbered(&self, store: u32) -> Result<Target, Error> {
        let store = Resource::<Numbered>::new_borrow(store);
        match self.table.get(&store) {
            Ok(Numbered(bucket)) => Ok(bucket.into()),
            Err(_) => Err(Error::InvalidStore),
        }
    }

    async fn value(&mut self, store: u32, key: String) -> Result<Vec<u8>, Error> {
        let target = self.numbered(store)?;
        let value = self.operations.get(target, key).await?;
        value.ok_or(Error::NoSuchKey)
    }

    async fn change(&mut self, store: u32, key: String, value: Vec<u8>) -> Result<(), Error> {
        let target = self.numbered(store)?;
        Ok(self.operations.set_many(target, vec![(key, value)]).await?)
    }

    async fn remove(&mut self, store: u32, key: String) -> Result<(), Error> {
        let target = self.numbered(store)?;
        Ok(self.operations.delete_many(target, vec![key]).await?)
    }
}

impl key_value::Host for KeyValueView<'_> {
    async fn open(&mut self, name: String) -> Outcome<u32> {
        let opened = self.open_label(&name);
        Ok(
            match opened.and_then(|bucket| self.keep(Numbered(bucket))) {
                Ok(store) => Ok(store.rep()),
                Err(failure) => Err(failure.into()),
            },
        )
    }

    async fn get(&mut self, store: u32, key: String) -> Outcome<Vec<u8>> {
        Ok(self.value(store, key).await)
    }

    async fn set(&mut self, store: u32, key: String, value: Vec<u8>) -> Outcome<()> {
        Ok(self.change(store, key, value).await)
    }

    async fn delete(&mut self, store: u32, key: String) -> Outcome<()> {
        Ok(self.remove(store, key).await)
    }

    async fn exists(&mut self, store: u32, key: String) -> Outcome<bool> {
        match self.numbered(store) {
            Ok(target) => Ok(self
                .operations
                .exists(target, key)
                .await
                .map_err(Error::from)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn get_keys(&mut self, store: u32) -> Outcome<Vec<String>> {
        match self.numbered(store) {
            Ok(target) => Ok(self.operations.all_keys(target).await.map_err(Error::from)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn close(&mut self, store: u32) -> wasmtime::Result<()> {
        // What is not open need not be closed.
        let _ = self.table.delete(Resource::<Numbered>::new_own(store));
        Ok(())
    }
}
