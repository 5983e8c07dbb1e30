//! Values that a guest writes.

use std::sync::Arc;

use shoal_stores::BlobError;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::DynOutputStream;

use super::{
    BlobsView, Open, Outcome, VALUES,
    bindings::types::HostOutgoingValue,
    one_more,
    operations::{Target, Teller},
    pipe::{Body, Pipe, UNTAKEN},
    said,
};
use crate::stores::Operation;

/// Content that becomes an object once it is finished.
pub struct OutgoingValue {
    pipe: Arc<Pipe>,
    has_body: bool,
    /// Bytes that are charged to the guest.
    kept: u64,
    upload: Option<Upload>,
    /// Counted for as long as the value is there; or there are too many.
    open: Result<Open, BlobError>,
}

/// The content on its way to a store.
struct Upload {
    task: AbortOnDropHandle<Result<(), BlobError>>,
    teller: Teller,
    began: Instant,
}

impl Drop for OutgoingValue {
    fn drop(&mut self) {
        self.pipe.abandon();
    }
}

impl BlobsView<'_> {
    /// From now on the content goes to the store, to be the object `name`.
    pub(super) async fn upload(
        &mut self,
        target: Target,
        name: String,
        value: Resource<OutgoingValue>,
    ) -> Outcome<()> {
        if let Err(too_many) = &self.table.get(&value)?.open {
            return said(Err(too_many.clone()));
        }
        if self.table.get(&value)?.upload.is_some() {
            let why = "the value is written already; make another for another object";
            return said(Err(BlobError::Refused(why.to_owned())));
        }
        let found = match self.operations.find(target, Operation::Set, 1).await {
            Ok(found) => found,
            Err(error) => return said(Err(error)),
        };
        let bytes = found.blobs.bytes_of_a_write();
        if let Err(error) = self.operations.keep(bytes) {
            return said(Err(error));
        }
        let value = self.table.get_mut(&value)?;
        value.kept += bytes;
        let content = value.pipe.content();
        let (blobs, id, limits) = (found.blobs, found.id, found.limits);
        let task = tokio::spawn(async move { blobs.write(id, name, content, limits).await });
        value.upload = Some(Upload {
            task: AbortOnDropHandle::new(task),
            teller: found.teller,
            began: Instant::now(),
        });
        Ok(Ok(()))
    }

    fn take_value(&mut self, value: Resource<OutgoingValue>) -> wasmtime::Result<OutgoingValue> {
        let value = self.table.delete(value)?;
        self.operations.limiter.release(value.kept);
        Ok(value)
    }
}

impl HostOutgoingValue for BlobsView<'_> {
    async fn new_outgoing_value(&mut self) -> wasmtime::Result<Resource<OutgoingValue>> {
        // The interface has no error here: the next call has.
        let open = one_more(&mut self.open.writes, VALUES, "values are being written");
        Ok(self.table.push(OutgoingValue {
            pipe: Arc::default(),
            has_body: false,
            kept: 0,
            upload: None,
            open,
        })?)
    }

    async fn outgoing_value_write_body(
        &mut self,
        value: Resource<OutgoingValue>,
    ) -> wasmtime::Result<Result<Resource<DynOutputStream>, ()>> {
        let known = self.table.get(&value)?;
        if known.has_body || known.open.is_err() {
            return Ok(Err(()));
        }
        let bytes = UNTAKEN as u64;
        if self.operations.keep(bytes).is_err() {
            return Ok(Err(()));
        }
        let value = self.table.get_mut(&value)?;
        value.kept += bytes;
        value.has_body = true;
        let body: DynOutputStream = Box::new(Body(Arc::clone(&value.pipe)));
        Ok(Ok(self.table.push(body)?))
    }

    async fn finish(&mut self, value: Resource<OutgoingValue>) -> Outcome<()> {
        let mut value = self.take_value(value)?;
        value.pipe.finish();
        let Some(Upload {
            task,
            teller,
            began,
        }) = value.upload.take()
        else {
            let why = "the value became no object: `write-data` was not called with it";
            return said(Err(BlobError::Refused(why.to_owned())));
        };
        let failed = |_| Err(BlobError::Unavailable("the operation failed".to_owned()));
        let written = task.await.unwrap_or_else(failed);
        said(teller.ended(Operation::Set, written, began))
    }

    async fn drop(&mut self, value: Resource<OutgoingValue>) -> wasmtime::Result<()> {
        self.take_value(value).map(drop)
    }
}
