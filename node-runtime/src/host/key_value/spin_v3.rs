//! `spin:key-value@3.0.0`: a guest may have many calls under way at once, each with a share of its
//! app's memory of its own.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::sync::oneshot;
use wasmtime::{
    AsContextMut as _, StoreContextMut,
    component::{
        Access, Accessor, Destination, FutureReader, Linker, Resource, StreamProducer,
        StreamReader, StreamResult, VecBuffer,
    },
};

use self::bindings::spin::key_value::key_value::{self, Error};
use super::{
    Bucket, Failure, KeyValueHost, KeyValueView,
    operations::{Operations, Target},
    view,
};
use crate::{app::Component, engine::MemoryLimiter, host::InstanceState, stores::StoreClasses};

mod bindings {
    #![allow(missing_docs, reason = "generated; the WIT documents it")]

    wasmtime::component::bindgen!({
        path: "../stores/wit",
        world: "spin-key-value-v3",
        imports: { default: store | trappable },
        with: {
            "spin:key-value/key-value.store": crate::host::key_value::Bucket,
        },
    });
}

pub(super) fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    key_value::add_to_linker::<_, KeyValueHost>(linker, view)
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            // As in the second version.
            Failure::NoSuchStore | Failure::AccessDenied => Self::AccessDenied,
            Failure::TooManyOpen => Self::StoreTableFull,
            Failure::Other(message) => Self::Other(message),
        }
    }
}

type Outcome<T> = wasmtime::Result<Result<T, Error>>;
type Keys = (StreamReader<String>, FutureReader<Result<(), Error>>);

/// A call that runs beside others: it holds what it needs of the instance, and pays for what passes.
struct Call {
    component: Arc<Component>,
    classes: Arc<StoreClasses>,
    limiter: MemoryLimiter,
    target: Target,
}

impl Call {
    fn new(view: &mut KeyValueView<'_>, store: &Resource<Bucket>) -> wasmtime::Result<Self> {
        Ok(Self {
            target: view.table.get(store)?.into(),
            component: Arc::clone(view.component),
            classes: Arc::clone(view.classes),
            limiter: view.operations.limiter.beside(),
        })
    }

    fn start(
        store: &Accessor<InstanceState, KeyValueHost>,
        bucket: &Resource<Bucket>,
    ) -> wasmtime::Result<Self> {
        store.with(|mut store| Self::new(&mut store.get(), bucket))
    }

    fn operations(&mut self) -> (Operations<'_>, Target) {
        let operations = Operations {
            component: &self.component,
            classes: &self.classes,
            limiter: &mut self.limiter,
        };
        (operations, self.target)
    }
}

fn said<T>(result: Result<T, Failure>) -> Outcome<T> {
    Ok(result.map_err(Error::from))
}

impl key_value::Host for KeyValueView<'_> {}
impl key_value::HostStore for KeyValueView<'_> {}

impl key_value::HostStoreWithStore<InstanceState> for KeyValueHost {
    async fn open(
        store: &Accessor<InstanceState, Self>,
        label: String,
    ) -> Outcome<Resource<Bucket>> {
        said(store.with(|mut store| {
            let mut view = store.get();
            let bucket = view.open_label(&label)?;
            view.keep(bucket)
        }))
    }

    async fn get(
        store: &Accessor<InstanceState, Self>,
        bucket: Resource<Bucket>,
        key: String,
    ) -> Outcome<Option<Vec<u8>>> {
        let mut call = Call::start(store, &bucket)?;
        let (mut operations, target) = call.operations();
        said(operations.get(target, key).await)
    }

    async fn set(
        store: &Accessor<InstanceState, Self>,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> Outcome<()> {
        let mut call = Call::start(store, &bucket)?;
        let (mut operations, target) = call.operations();
        said(operations.set_many(target, vec![(key, value)]).await)
    }

    async fn delete(
        store: &Accessor<InstanceState, Self>,
        bucket: Resource<Bucket>,
        key: String,
    ) -> Outcome<()> {
        let mut call = Call::start(store, &bucket)?;
        let (mut operations, target) = call.operations();
        said(operations.delete_many(target, vec![key]).await)
    }

    async fn exists(
        store: &Accessor<InstanceState, Self>,
        bucket: Resource<Bucket>,
        key: String,
    ) -> Outcome<bool> {
        let mut call = Call::start(store, &bucket)?;
        let (mut operations, target) = call.operations();
        said(operations.exists(target, key).await)
    }

    async fn get_keys(
        store: &Accessor<InstanceState, Self>,
        bucket: Resource<Bucket>,
    ) -> wasmtime::Result<Keys> {
        store.with(|mut store| {
            let call = Call::new(&mut store.get(), &bucket)?;
            let (ended, end) = oneshot::channel();
            let keys = StreamReader::new(&mut store, KeyStream::new(call, ended))?;
            // A guest that drops the stream early did not fail.
            let end = async { wasmtime::error::Ok(end.await.unwrap_or(Ok(()))) };
            Ok((keys, FutureReader::new(&mut store, end)?))
        })
    }

    fn drop(
        mut store: Access<'_, InstanceState, Self>,
        bucket: Resource<Bucket>,
    ) -> wasmtime::Result<()> {
        store.get().table.delete(bucket)?;
        Ok(())
    }
}

type Page = (Result<(Vec<String>, Option<String>), Failure>, Call);

/// The keys of a store, a page at a time, as the guest reads them.
struct KeyStream {
    /// The next one; none after the last.
    page: Option<Pin<Box<dyn Future<Output = Page> + Send>>>,
    end: Option<oneshot::Sender<Result<(), Error>>>,
}

impl KeyStream {
    fn new(call: Call, end: oneshot::Sender<Result<(), Error>>) -> Self {
        Self {
            page: Some(Box::pin(page(call, None))),
            end: Some(end),
        }
    }

    fn end(&mut self, how: Result<(), Error>) -> StreamResult {
        if let Some(end) = self.end.take() {
            // The guest may not want to know.
            let _ = end.send(how);
        }
        StreamResult::Dropped
    }
}

async fn page(mut call: Call, after: Option<String>) -> Page {
    let (mut operations, target) = call.operations();
    let page = operations.page(target, after).await;
    (page, call)
}

impl<D> StreamProducer<D> for KeyStream {
    type Item = String;
    type Buffer = VecBuffer<String>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut keys: Destination<'a, String, VecBuffer<String>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = self.get_mut();
        // The guest only asks whether there is something to read.
        if keys.remaining(store.as_context_mut()) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        // A guest that reads the last page in parts asks once more when it has read all of it.
        let Some(page) = &mut this.page else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        let (page, call) = match page.as_mut().poll(cx) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            polled => ready!(polled),
        };
        this.page = None;
        Poll::Ready(Ok(match page {
            Err(failure) => this.end(Err(failure.into())),
            Ok((found, next)) => {
                let more = next.is_some() && !found.is_empty();
                keys.set_buffer(found.into());
                if more {
                    this.page = Some(Box::pin(self::page(call, next)));
                    StreamResult::Completed
                } else {
                    this.end(Ok(()))
                }
            }
        }))
    }
}
