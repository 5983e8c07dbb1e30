//! Who may grow its memory: each instance within its own bound, its app's and the node's. What the
//! host keeps for a guest counts as the guest's own.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use wasmtime::ResourceLimiter;

/// Most elements of one table.
const TABLE_ELEMENTS: usize = 100_000;
/// What an element of a table takes.
const ELEMENT_BYTES: usize = size_of::<usize>();

/// Memory of all guests of the node, against the node's budget.
pub struct NodeMemory {
    budget: u64,
    used: AtomicU64,
}

/// Memory of all instances of one app.
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

impl Refused {
    /// What an operator of the app knows the bound by.
    pub fn bound(self) -> &'static str {
        match self {
            Self::Instance => "limits.instanceMemory",
            Self::App => "limits.memory",
            Self::Node => "the node's memory",
        }
    }
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
    /// Linear memory and tables.
    used: u64,
    /// What the host keeps for the guest.
    kept: u64,
    /// The part of `kept` that is on its way between the guest and a store.
    passing: u64,
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
            kept: 0,
            passing: 0,
            refused: None,
        }
    }

    /// For a call that runs beside others of the same instance: it charges the same app and node, and
    /// gives back when it is dropped what it kept. The instance's own bound holds for each such call.
    pub fn beside(&self) -> Self {
        Self::new(
            Arc::clone(&self.node),
            Arc::clone(&self.app),
            self.app_limit,
            self.instance_limit,
        )
    }

    /// What kept the instance from growing, the last time that something did.
    pub fn refused(&self) -> Option<Refused> {
        self.refused
    }

    /// The host is to keep `bytes` more for the guest. They are not in the guest's own memory, so
    /// they have a bound of the same size beside it.
    ///
    /// # Errors
    /// Which bound they would pass.
    pub fn keep(&mut self, bytes: u64) -> Result<(), Refused> {
        let kept = self.take(self.kept, bytes);
        self.refused = kept.err().or(self.refused);
        self.kept = kept?;
        Ok(())
    }

    /// The host no longer keeps `bytes` of what it kept.
    pub fn release(&mut self, bytes: u64) {
        let bytes = bytes.min(self.kept);
        self.kept = self.kept.saturating_sub(bytes);
        self.give_back(bytes);
    }

    /// `bytes` pass between the guest and a store: instead of those that passed before, since a guest
    /// makes one call at a time.
    ///
    /// # Errors
    /// Which bound they would pass.
    pub fn pass(&mut self, bytes: u64) -> Result<(), Refused> {
        self.passed();
        self.keep(bytes)?;
        self.passing = bytes;
        Ok(())
    }

    /// What passed is where it was to go.
    pub fn passed(&mut self) {
        let bytes = std::mem::take(&mut self.passing);
        self.release(bytes);
    }

    fn grow(&mut self, bytes: u64) -> Result<(), Refused> {
        self.used = self.take(self.used, bytes)?;
        Ok(())
    }

    /// Charges `bytes` to the app and the node; gives what the instance has of this kind then.
    fn take(&self, already: u64, bytes: u64) -> Result<u64, Refused> {
        let all = already.saturating_add(bytes);
        if all > self.instance_limit {
            return Err(Refused::Instance);
        }
        if !charge(&self.app.used, bytes, self.app_limit) {
            return Err(Refused::App);
        }
        if !charge(&self.node.used, bytes, self.node.budget) {
            self.app.used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Refused::Node);
        }
        Ok(all)
    }

    fn give_back(&self, bytes: u64) {
        self.app.used.fetch_sub(bytes, Ordering::Relaxed);
        self.node.used.fetch_sub(bytes, Ordering::Relaxed);
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
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS || maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let elements = desired.saturating_sub(current);
        let grown = self.grow(elements.saturating_mul(ELEMENT_BYTES) as u64);
        self.refused = grown.err().or(self.refused);
        Ok(grown.is_ok())
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
        self.give_back(self.used.saturating_add(self.kept));
    }
}

#[cfg(test)]
mod tests;
