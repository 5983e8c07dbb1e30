//! Who may grow its memory: each instance within its own bound, its app's and the node's.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use wasmtime::ResourceLimiter;

/// Most elements of one table.
const TABLE_ELEMENTS: usize = 100_000;

/// Linear memory of all guests of the node, against the node's budget.
pub struct NodeMemory {
    budget: u64,
    used: AtomicU64,
}

/// Linear memory of all instances of one app.
#[derive(Default)]
pub struct AppMemory {
    used: AtomicU64,
}

/// Which bound kept a memory from growing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// `limits.instanceMemory`
    Instance,
    /// `limits.memory`
    App,
    /// What the node has.
    Node,
}

impl NodeMemory {
    /// `budget` in bytes.
    pub fn new(budget: u64) -> Arc<Self> {
        Arc::new(Self {
            budget,
            used: AtomicU64::new(0),
        })
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes that may be in use.
    pub fn budget(&self) -> u64 {
        self.budget
    }
}

/// Adds `bytes` unless the sum would pass `most`.
fn charge(used: &AtomicU64, bytes: u64, most: u64) -> bool {
    let before = used.fetch_add(bytes, Ordering::Relaxed);
    let fits = before.saturating_add(bytes) <= most;
    if !fits {
        used.fetch_sub(bytes, Ordering::Relaxed);
    }
    fits
}

/// Bounds one instance. What it grew is given back when it is dropped.
pub struct MemoryLimiter {
    node: Arc<NodeMemory>,
    app: Arc<AppMemory>,
    app_limit: u64,
    instance_limit: u64,
    used: u64,
    refused: Option<Refused>,
}

impl MemoryLimiter {
    /// Limits in bytes.
    pub fn new(
        node: Arc<NodeMemory>,
        app: Arc<AppMemory>,
        app_limit: u64,
        instance_limit: u64,
    ) -> Self {
        Self {
            node,
            app,
            app_limit,
            instance_limit,
            used: 0,
            refused: None,
        }
    }

    /// What kept the instance from growing, the last time that something did.
    pub fn refused(&self) -> Option<Refused> {
        self.refused
    }

    fn grow(&mut self, bytes: u64) -> Result<(), Refused> {
        if self.used.saturating_add(bytes) > self.instance_limit {
            return Err(Refused::Instance);
        }
        if !charge(&self.app.used, bytes, self.app_limit) {
            return Err(Refused::App);
        }
        if !charge(&self.node.used, bytes, self.node.budget) {
            self.app.used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Refused::Node);
        }
        self.used = self.used.saturating_add(bytes);
        Ok(())
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Wasmtime refuses this itself, after asking: nothing may be charged for it.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let grown = self.grow(desired.saturating_sub(current) as u64);
        self.refused = grown.err().or(self.refused);
        Ok(grown.is_ok())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS && maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn instances(&self) -> usize {
        super::pool::CORE_INSTANCES_PER_COMPONENT as usize
    }

    fn tables(&self) -> usize {
        super::pool::TABLES_PER_COMPONENT as usize
    }

    fn memories(&self) -> usize {
        super::pool::MEMORIES_PER_COMPONENT as usize
    }
}

impl Drop for MemoryLimiter {
    fn drop(&mut self) {
        self.app.used.fetch_sub(self.used, Ordering::Relaxed);
        self.node.used.fetch_sub(self.used, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 65_536;

    fn limiter(node: u64, app: u64, instance: u64) -> MemoryLimiter {
        MemoryLimiter::new(NodeMemory::new(node), Arc::default(), app, instance)
    }

    #[test]
    fn the_smallest_bound_decides_and_is_named() {
        let page = PAGE as u64;
        for (node, app, instance, refused) in [
            (9, 9, 1, Refused::Instance),
            (9, 1, 9, Refused::App),
            (1, 9, 9, Refused::Node),
        ] {
            let mut limiter = limiter(node * page, app * page, instance * page);
            assert!(limiter.memory_growing(0, PAGE, None).unwrap());
            assert_eq!(limiter.refused(), None);
            assert!(!limiter.memory_growing(PAGE, 2 * PAGE, None).unwrap());
            assert_eq!(limiter.refused(), Some(refused));
            let app = limiter.app.used.load(Ordering::Relaxed);
            assert_eq!((app, limiter.node.used()), (page, page));
        }
    }

    #[test]
    fn what_an_instance_used_is_given_back() {
        let mut limiter = limiter(1 << 30, 1 << 30, 1 << 30);
        let (node, app) = (Arc::clone(&limiter.node), Arc::clone(&limiter.app));
        assert!(limiter.memory_growing(0, PAGE, Some(PAGE)).unwrap());
        assert!(
            !limiter.memory_growing(PAGE, 2 * PAGE, Some(PAGE)).unwrap(),
            "past its maximum"
        );
        assert_eq!(node.used(), PAGE as u64);
        drop(limiter);
        assert_eq!((node.used(), app.used.load(Ordering::Relaxed)), (0, 0));
    }
}
