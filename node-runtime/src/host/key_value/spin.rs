//! `fermyon:spin/key-value@2.0.0`.

use wasmtime::component::{Linker, Resource};

use self::bindings::fermyon::spin2_0_0::key_value::{self, Error};
use super::{Bucket, Failure, KeyValueHost, KeyValueView, view};
use crate::host::InstanceState;

mod bindings {
    #![allow(missing_docs, reason = "generated; the WIT documents it")]

    wasmtime::component::bindgen!({
        path: "../stores/wit",
        world: "spin-key-value",
        imports: { default: async | trappable },
        with: {
            "fermyon:spin/key-value@2.0.0.store": crate::host::key_value::Bucket,
        },
    });
}

pub(super) fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    key_value::add_to_linker::<_, KeyValueHost>(linker, view)
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            // In Spin a label that the component does not list is denied; here no other label is
            // ever bound.
            Failure::NoSuchStore | Failure::AccessDenied => Self::AccessDenied,
            Failure::TooManyOpen => Self::StoreTableFull,
            Failure::Other(message) => Self::Other(message),
        }
    }
}

type Outcome<T> = wasmtime::Result<Result<T, Error>>;

fn said<T>(result: Result<T, Failure>) -> Outcome<T> {
    Ok(result.map_err(Error::from))
}

impl key_value::Host for KeyValueView<'_> {}

impl key_value::HostStore for KeyValueView<'_> {
    async fn open(&mut self, label: String) -> Outcome<Resource<Bucket>> {
        let opened = self.open_label(&label);
        said(opened.and_then(|bucket| self.keep(bucket)))
    }

    async fn get(&mut self, store: Resource<Bucket>, key: String) -> Outcome<Option<Vec<u8>>> {
        let target = self.table.get(&store)?.into();
        said(self.operations.get(target, key).await)
    }

    async fn set(&mut self, store: Resource<Bucket>, key: String, value: Vec<u8>) -> Outcome<()> {
        let target = self.table.get(&store)?.into();
        said(self.operations.set_many(target, vec![(key, value)]).await)
    }

    async fn delete(&mut self, store: Resource<Bucket>, key: String) -> Outcome<()> {
        let target = self.table.get(&store)?.into();
        said(self.operations.delete_many(target, vec![key]).await)
    }

    async fn exists(&mut self, store: Resource<Bucket>, key: String) -> Outcome<bool> {
        let target = self.table.get(&store)?.into();
        said(self.operations.exists(target, key).await)
    }

    async fn get_keys(&mut self, store: Resource<Bucket>) -> Outcome<Vec<String>> {
        let target = self.table.get(&store)?.into();
        said(self.operations.all_keys(target).await)
    }

    async fn drop(&mut self, store: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}
