//! Containers, and what is done with their objects.

use shoal_stores::{BlobError, blob::ByteRange};
use tokio::time::Instant;
use wasmtime::component::Resource;

use super::{
    BlobsView, CONTAINERS, IncomingValue, ObjectNames, Open, Outcome, OutgoingValue, VALUES,
    bindings::{
        blobstore,
        container::{self, HostContainer},
        types::{self, ContainerMetadata, ObjectId, ObjectMetadata},
    },
    one_more,
    operations::Target,
    said,
};
use crate::stores::Operation;

/// A container that a guest opened.
pub struct Container {
    target: Target,
    #[expect(dead_code, reason = "counted for as long as the container is there")]
    open: Open,
}

fn refused<T>(why: String) -> Outcome<T> {
    said(Err(BlobError::Refused(why)))
}

/// There is no such container, and what to do.
fn unknown(name: &str) -> BlobError {
    BlobError::Refused(format!(
        "there is no container `{name}`: a container is a store of objects, which `spec.stores` of the \
         App names with `label: {name}` and `interface: Blob`"
    ))
}

impl BlobsView<'_> {
    fn open_container(&mut self, name: &str) -> Result<Container, BlobError> {
        let target = self.operations.find_label(name);
        let target = target.ok_or_else(|| unknown(name))?;
        let open = one_more(&mut self.open.containers, CONTAINERS, "containers are open")?;
        Ok(Container { target, open })
    }

    fn target(&self, container: &Resource<Container>) -> wasmtime::Result<Target> {
        Ok(self.table.get(container)?.target)
    }

    async fn read(
        &mut self,
        target: Target,
        name: String,
        range: ByteRange,
    ) -> Result<IncomingValue, BlobError> {
        let open = one_more(&mut self.open.reads, VALUES, "values are being read")?;
        let found = self.operations.find(target, Operation::Get, 1).await?;
        let read = found.blobs.read(found.id, name, range);
        let opened = found.call(Operation::Get, read).await?;
        Ok(IncomingValue {
            bytes: opened.bytes,
            content: opened.content,
            open,
        })
    }

    async fn info_of(
        &mut self,
        target: Target,
        name: &str,
    ) -> Result<Option<ObjectMetadata>, BlobError> {
        let found = self.operations.find(target, Operation::Exists, 1).await?;
        let info = found.blobs.info(found.id, name.to_owned());
        let info = found.call(Operation::Exists, info).await?;
        Ok(info.map(|info| ObjectMetadata {
            name: name.to_owned(),
            container: self.operations.label(target).to_owned(),
            created_at: info.created_at,
            size: info.size,
        }))
    }

    async fn delete(&mut self, target: Target, names: Vec<String>) -> Result<(), BlobError> {
        let size = |name: &String| name.len() + size_of::<String>();
        self.operations.pass(names.iter().map(size).sum())?;
        let found = self
            .operations
            .find(target, Operation::Delete, names.len())
            .await?;
        let delete = found.blobs.delete(found.id, names);
        let deleted = found.call(Operation::Delete, delete).await;
        self.operations.limiter.passed();
        deleted
    }

    async fn delete_all(&mut self, target: Target) -> Result<(), BlobError> {
        let found = self.operations.find(target, Operation::Clear, 1).await?;
        // It takes as long as there are objects; each step of it is bounded.
        let began = Instant::now();
        let cleared = found.blobs.clear(found.id).await;
        found.teller.ended(Operation::Clear, cleared, began)
    }

    fn place(&self, id: ObjectId) -> Result<(Target, String), BlobError> {
        let target = self.operations.find_label(&id.container);
        let target = target.ok_or_else(|| unknown(&id.container))?;
        Ok((target, id.object))
    }

    async fn copy(&mut self, from: ObjectId, to: ObjectId) -> Result<(), BlobError> {
        let (from, to) = (self.place(from)?, self.place(to)?);
        self.operations.copy(from, to).await
    }

    /// The copy is there before the original goes.
    async fn rename(&mut self, from: ObjectId, to: ObjectId) -> Result<(), BlobError> {
        let (from, to) = (self.place(from)?, self.place(to)?);
        self.operations.copy(from.clone(), to.clone()).await?;
        if from == to {
            return Ok(());
        }
        let (target, name) = from;
        self.delete(target, vec![name]).await
    }
}

impl types::Host for BlobsView<'_> {}

impl container::Host for BlobsView<'_> {}

impl HostContainer for BlobsView<'_> {
    async fn name(&mut self, container: Resource<Container>) -> Outcome<String> {
        let target = self.target(&container)?;
        Ok(Ok(self.operations.label(target).to_owned()))
    }

    async fn info(&mut self, container: Resource<Container>) -> Outcome<ContainerMetadata> {
        let target = self.target(&container)?;
        Ok(Ok(ContainerMetadata {
            name: self.operations.label(target).to_owned(),
            // A node does not know when a Store was made.
            created_at: 0,
        }))
    }

    async fn get_data(
        &mut self,
        container: Resource<Container>,
        name: String,
        start: u64,
        end: u64,
    ) -> Outcome<Resource<IncomingValue>> {
        let target = self.target(&container)?;
        let range = ByteRange {
            first: start,
            last: end,
        };
        let value = self.read(target, name, range).await;
        self.keep(value)
    }

    async fn write_data(
        &mut self,
        container: Resource<Container>,
        name: String,
        data: Resource<OutgoingValue>,
    ) -> Outcome<()> {
        let target = self.target(&container)?;
        self.upload(target, name, data).await
    }

    async fn list_objects(
        &mut self,
        container: Resource<Container>,
    ) -> Outcome<Resource<ObjectNames>> {
        let target = self.target(&container)?;
        self.keep(Ok(ObjectNames::start(target)))
    }

    async fn delete_object(&mut self, container: Resource<Container>, name: String) -> Outcome<()> {
        let target = self.target(&container)?;
        said(self.delete(target, vec![name]).await)
    }

    async fn delete_objects(
        &mut self,
        container: Resource<Container>,
        names: Vec<String>,
    ) -> Outcome<()> {
        let target = self.target(&container)?;
        said(self.delete(target, names).await)
    }

    async fn has_object(&mut self, container: Resource<Container>, name: String) -> Outcome<bool> {
        let target = self.target(&container)?;
        said(self.info_of(target, &name).await.map(|info| info.is_some()))
    }

    async fn object_info(
        &mut self,
        container: Resource<Container>,
        name: String,
    ) -> Outcome<ObjectMetadata> {
        let target = self.target(&container)?;
        let info = self.info_of(target, &name).await;
        said(info.and_then(|info| info.ok_or(BlobError::NotFound)))
    }

    async fn clear(&mut self, container: Resource<Container>) -> Outcome<()> {
        let target = self.target(&container)?;
        said(self.delete_all(target).await)
    }

    async fn drop(&mut self, container: Resource<Container>) -> wasmtime::Result<()> {
        self.table.delete(container)?;
        Ok(())
    }
}

impl blobstore::Host for BlobsView<'_> {
    async fn create_container(&mut self, name: String) -> Outcome<Resource<Container>> {
        match self.operations.find_label(&name) {
            Some(_) => refused(format!("the container `{name}` already exists")),
            None => said(Err(unknown(&name))),
        }
    }

    async fn get_container(&mut self, name: String) -> Outcome<Resource<Container>> {
        let container = self.open_container(&name);
        self.keep(container)
    }

    async fn delete_container(&mut self, name: String) -> Outcome<()> {
        match self.operations.find_label(&name) {
            Some(_) => refused(format!(
                "the container `{name}` is a store, which an app does not remove; `clear` deletes its \
                 objects"
            )),
            None => said(Err(unknown(&name))),
        }
    }

    async fn container_exists(&mut self, name: String) -> Outcome<bool> {
        Ok(Ok(self.operations.find_label(&name).is_some()))
    }

    async fn copy_object(&mut self, src: ObjectId, dest: ObjectId) -> Outcome<()> {
        said(self.copy(src, dest).await)
    }

    async fn move_object(&mut self, src: ObjectId, dest: ObjectId) -> Outcome<()> {
        said(self.rename(src, dest).await)
    }
}
