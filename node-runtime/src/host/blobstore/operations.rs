//! What is done once for all calls: bounds, deadlines, who pays for the memory of what passes, and who
//! hears of limits.

use std::sync::Arc;

use shoal_crds::{Interface, Reason};
use shoal_stores::{BlobError, Blobs, StoreId, StoreLimits, blob::ByteRange, blob::Place};
use tokio::time::Instant;

use crate::{
    app::Component,
    assignment::StoreBinding,
    engine::{MemoryLimiter, Refused},
    stores::{Class, Operation, Outcome, StoreClasses},
};

/// The stores of a component, apart from the instance's resources.
pub(super) struct Operations<'a> {
    pub(super) component: &'a Arc<Component>,
    pub(super) classes: &'a Arc<StoreClasses>,
    pub(super) limiter: &'a mut MemoryLimiter,
}

/// Which of the component's Stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target(usize);

/// A Store as it is for one operation.
pub(super) struct Found {
    pub(super) id: StoreId,
    pub(super) limits: StoreLimits,
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) teller: Teller,
}

/// Notes how operations ended, and tells the app's owner of limits.
#[derive(Clone)]
pub(super) struct Teller {
    component: Arc<Component>,
    classes: Arc<StoreClasses>,
    class: Arc<Class>,
    label: String,
}

impl Teller {
    /// Notes how an operation ended that began at `began`.
    pub(super) fn ended<T>(
        &self,
        operation: Operation,
        result: Result<T, BlobError>,
        began: Instant,
    ) -> Result<T, BlobError> {
        self.class.ended(operation, &result, began);
        self.told(Reason::StoreLimitReached, result)
    }

    fn told<T>(&self, reason: Reason, result: Result<T, BlobError>) -> Result<T, BlobError> {
        if let Err(BlobError::LimitExceeded(problem)) = &result {
            let (label, class) = (&self.label, self.class.name());
            let app = &self.component.app.name;
            self.classes.owners().tell(app, reason, || {
                format!("store `{label}` (interface Blob, class `{class}`): {problem}")
            });
        }
        result
    }
}

impl Operations<'_> {
    /// The Store that a container's name is bound to.
    pub(super) fn find_label(&self, label: &str) -> Option<Target> {
        let is_it =
            |binding: &StoreBinding| binding.interface == Interface::Blob && binding.label == label;
        self.component.stores.iter().position(is_it).map(Target)
    }

    /// The container's name.
    pub(super) fn label(&self, Target(index): Target) -> &str {
        let binding = self.component.stores.get(index);
        binding.map_or("", |binding| &binding.label)
    }

    /// The Store, and its class as it is now, for an operation on so many objects.
    pub(super) async fn find(
        &self,
        Target(index): Target,
        operation: Operation,
        objects: usize,
    ) -> Result<Found, BlobError> {
        let binding = self.component.stores.get(index);
        let binding = binding.ok_or(BlobError::AccessDenied)?;
        let class = self.classes.find(&binding.class).await?;
        let admitted = class.admit(binding.id, objects, binding.nodes);
        if admitted.is_err() {
            class.refused(operation, Outcome::from(&admitted));
        }
        let found = Found {
            id: binding.id,
            limits: class.object_limits(),
            blobs: class.blobs()?,
            teller: Teller {
                component: Arc::clone(self.component),
                classes: Arc::clone(self.classes),
                class,
                label: binding.label.clone(),
            },
        };
        let admitted = admitted.map_err(BlobError::from);
        found.teller.told(Reason::StoreRateExceeded, admitted)?;
        Ok(found)
    }

    /// Copies an object, to the same Store or another.
    pub(super) async fn copy(
        &self,
        (from, name): (Target, String),
        (to, new_name): (Target, String),
    ) -> Result<(), BlobError> {
        let source = self.find(from, Operation::Get, 1).await?;
        let target = self.find(to, Operation::Copy, 1).await?;
        let began = Instant::now();
        let copied = async {
            if Arc::ptr_eq(&source.blobs, &target.blobs) {
                let from = Place {
                    store: source.id,
                    name,
                };
                let to = Place {
                    store: target.id,
                    name: new_name,
                };
                return target.blobs.copy(from, to, target.limits).await;
            }
            let opened = source.blobs.read(source.id, name, ByteRange::ALL).await?;
            let (id, limits) = (target.id, target.limits);
            target
                .blobs
                .write(id, new_name, opened.content, limits)
                .await
        };
        target.teller.ended(Operation::Copy, copied.await, began)
    }

    /// Charges what passes between the guest and the store, in place of what passed before.
    pub(super) fn pass(&mut self, bytes: usize) -> Result<(), BlobError> {
        self.limiter.pass(bytes as u64).map_err(no_memory)
    }

    /// Charges what is kept for the guest until it is released.
    pub(super) fn keep(&mut self, bytes: u64) -> Result<(), BlobError> {
        self.limiter.keep(bytes).map_err(no_memory)
    }
}

impl Found {
    /// Waits for a call, for so long as a guest may wait.
    pub(super) async fn call<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, BlobError>>,
    ) -> Result<T, BlobError> {
        let result = self.teller.class.call(operation, call).await;
        self.teller.told(Reason::StoreLimitReached, result)
    }
}

fn no_memory(refused: Refused) -> BlobError {
    let bound = refused.bound();
    BlobError::LimitExceeded(format!("there is no memory for it: {bound} is used up"))
}
