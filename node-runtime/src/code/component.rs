//! The code of one component on this node: a file, and mapped into the process while it is used.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use shoal_artifact::Digest;

use super::{
    cache::{CodeCache, CodeError},
    eviction::Candidate,
    file::Proof,
    handler::Handler,
    room::{Resource, Taken},
};

/// Code that is mapped and linked: everything but the instance.
pub struct Prepared {
    /// Makes instances.
    pub handler: Handler,
    /// Slots that an instance takes.
    pub weight: u32,
    pub(super) taken: Taken,
}

/// See the module. Shared by all apps with a component of this digest.
pub struct ComponentCode {
    digest: Digest,
    cache: Weak<CodeCache>,
    mapped: ArcSwapOption<Prepared>,
    /// The lock makes everybody who needs it at once wait for one fetch and one mapping.
    pub(super) known: tokio::sync::Mutex<Known>,
    /// Seconds from the cache's beginning to its last request.
    used: AtomicU64,
    /// Microseconds that its last mapping took.
    again: AtomicU64,
}

/// What was found out about the file.
#[derive(Default)]
pub(super) struct Known {
    /// Its signature was good, while it was this file.
    pub(super) proof: Option<Proof>,
}

impl ComponentCode {
    pub(super) fn new(digest: Digest, cache: Weak<CodeCache>) -> Self {
        Self {
            digest,
            cache,
            mapped: ArcSwapOption::empty(),
            known: tokio::sync::Mutex::default(),
            used: AtomicU64::new(0),
            again: AtomicU64::new(0),
        }
    }

    pub(super) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Its code, if it is mapped. A request of it begins.
    pub(crate) fn mapped(&self, now: Instant) -> Option<Arc<Prepared>> {
        let mapped = self.mapped.load_full()?;
        if let Some(cache) = self.cache.upgrade() {
            self.use_at(cache.seconds(now));
        }
        Some(mapped)
    }

    /// Its code, mapped if it is not.
    ///
    /// # Errors
    /// [`CodeError`]; all but [`CodeError::Link`] are worth another try.
    pub(crate) async fn map(self: &Arc<Self>) -> Result<Arc<Prepared>, CodeError> {
        let Some(cache) = self.cache.upgrade() else {
            return Err(CodeError::Load("the node has ended".into()));
        };
        let now = Instant::now();
        if let Some(mapped) = self.mapped(now) {
            return Ok(mapped);
        }
        let mut known = self.known.lock().await;
        if let Some(mapped) = self.mapped(now) {
            return Ok(mapped);
        }
        let prepared = Arc::new(cache.prepare(self, &mut known).await?);
        let took = now.elapsed().as_micros();
        self.again
            .store(u64::try_from(took).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.use_at(cache.seconds(Instant::now()));
        self.mapped.store(Some(Arc::clone(&prepared)));
        Ok(prepared)
    }

    /// Written only when it changes: requests of one second share the cache line.
    fn use_at(&self, seconds: u64) {
        if self.used.load(Ordering::Relaxed) != seconds {
            self.used.store(seconds, Ordering::Relaxed);
        }
    }

    /// As one that may go, if it is mapped and no request uses it.
    pub(super) fn candidate(&self, resource: Resource, now: u64) -> Option<Candidate> {
        let mapped = self.mapped.load();
        let mapped = mapped.as_ref()?;
        (Arc::strong_count(mapped) == 1).then(|| Candidate {
            age: now.saturating_sub(self.used.load(Ordering::Relaxed)),
            room: mapped.taken.amount().get(resource),
            again: self.again.load(Ordering::Relaxed),
        })
    }

    /// Whether it is mapped, and was not used for so long.
    pub(super) fn is_idle(&self, now: u64, idle: Duration) -> bool {
        self.candidate(Resource::Mappings, now)
            .is_some_and(|candidate| candidate.age >= idle.as_secs())
    }

    /// Takes its code out; unmapped when the last request that uses it has ended, or the returned is dropped.
    pub(super) fn unmap(&self) -> Option<Arc<Prepared>> {
        self.mapped.swap(None)
    }
}
