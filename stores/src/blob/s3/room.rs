//! Room for what is written, in Stores that have bounds.

use std::time::Instant;

use object_store::{ObjectStore, path::Path};
use tokio::sync::OwnedMutexGuard;

use super::{
    S3,
    fault::{self, Fault},
    names, next,
};
use crate::{
    StoreId, StoreLimits, Usage,
    blob::{BlobError, Place},
    quota::Change,
};

/// A Store in which others delete is counted at most so often for one write.
const COUNTS: usize = 3;

/// Room for what a write adds, and the turn in which it was found.
pub(super) struct Room {
    change: Change,
    #[expect(dead_code, reason = "held until the write has ended")]
    turn: OwnedMutexGuard<()>,
}

impl S3 {
    /// Lists a whole Store.
    pub(super) async fn listed(&self, store: StoreId) -> Result<Usage, BlobError> {
        let start = Instant::now();
        let prefix = self.options.load().prefix.clone();
        let mut objects = self.client().list(Some(&names::of_store(&prefix, store)));
        let mut usage = Usage::default();
        while let Some(meta) = next(&mut objects).await? {
            if let Some(name) = names::object_of(&prefix, store, &meta.location) {
                usage.keys += 1;
                usage.bytes += name.len() as u64 + meta.size;
            }
        }
        self.counts.set(store, usage, start, Instant::now());
        Ok(usage)
    }

    /// Room in `to` for an object of `bytes` bytes, until the turn ends; `None` where a Store has no bounds.
    pub(super) async fn room(
        &self,
        to: &Place,
        key: &Path,
        bytes: u64,
        limits: StoreLimits,
    ) -> Result<Option<Room>, BlobError> {
        if limits.keys.is_none() && limits.bytes.is_none() {
            return Ok(None);
        }
        let turn = self.counts.turn(to.store).await;
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let old = self.head(key).await?.map(|meta| size(meta.size));
        let change = Change::of(to.name.len(), old, Some(size(bytes)));
        for _ in 0..COUNTS {
            if !self.counts.knows(to.store, Instant::now()) {
                self.listed(to.store).await?;
            }
            match self.counts.check(to.store, change, limits) {
                Some(checked) => {
                    checked?;
                    return Ok(Some(Room { change, turn }));
                }
                None => self.listed(to.store).await?,
            };
        }
        Err(BlobError::unavailable("what it holds cannot be counted"))
    }

    /// Notes whether there was room on the server for a write of so many bytes.
    pub(super) fn note(&self, bytes: u64, result: &Result<(), BlobError>) {
        match result {
            Ok(()) => self.refusals.passed(bytes),
            Err(error) if fault::is_full(error) => self.refusals.met(bytes, Instant::now()),
            Err(_) => {}
        }
    }

    /// A write ended for which there was `room`.
    pub(super) fn wrote(
        &self,
        store: StoreId,
        room: Option<Room>,
        result: Result<(), Fault>,
    ) -> Result<(), BlobError> {
        match (room, &result) {
            (Some(room), Ok(())) => self.counts.changed(store, room.change),
            (Some(_), Err(_)) => self.counts.is_unsure(store),
            (None, _) => {}
        }
        Ok(result?)
    }
}
