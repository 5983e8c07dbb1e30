//! The one Wasmtime engine and linker of the process.

mod limiter;
mod pool;
mod slots;
mod ticker;

use std::sync::Arc;

use shoal_engine::EngineKey;
use wasmtime::{Engine, component::Linker};

use crate::host::{self, InstanceState};

pub use limiter::{AppMemory, MemoryLimiter, NodeMemory, Refused};
pub(crate) use slots::weight;
pub use slots::{Slot, Slots};

/// Why no guest can run in this process.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Shoal has no code for this machine.
    #[error("Shoal does not run guests on {}", std::env::consts::ARCH)]
    Architecture,
    /// Wasmtime refused its configuration, or the address space for the pool.
    #[error("the WebAssembly engine cannot start with {slots} instance slots: {reason}")]
    Start {
        /// Slots asked for.
        slots: u32,
        /// What Wasmtime says.
        reason: String,
    },
}

/// Runs guests: engine, linker, and the slots that instances live in.
pub struct GuestEngine {
    key: EngineKey,
    engine: Engine,
    linker: Linker<InstanceState>,
    slots: Arc<Slots>,
}

impl GuestEngine {
    /// An engine with room for `slots` instances at once.
    ///
    /// # Errors
    /// [`EngineError`] where this machine cannot run guests, or not so many.
    pub fn start(slots: u32) -> Result<Self, EngineError> {
        let key = EngineKey::host().ok_or(EngineError::Architecture)?;
        let failed = |reason: wasmtime::Error| EngineError::Start {
            slots,
            reason: format!("{reason:#}"),
        };
        let mut config = shoal_engine::config(&key).map_err(failed)?;
        config.allocation_strategy(pool::strategy(slots));
        let engine = Engine::new(&config).map_err(failed)?;
        let linker = host::linker(&engine).map_err(failed)?;
        let ticker = ticker::start(&engine).map_err(|error| failed(error.into()))?;
        let slots = Slots::new(slots, ticker);
        Ok(Self {
            key,
            engine,
            linker,
            slots,
        })
    }

    /// What code must have been made for.
    pub fn key(&self) -> &EngineKey {
        &self.key
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Every interface that guests may import.
    pub fn linker(&self) -> &Linker<InstanceState> {
        &self.linker
    }

    /// Slots for instances.
    pub fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }
}
