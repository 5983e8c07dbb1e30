//! Compiling, in a child process for each component.
//!
//! WebAssembly from outside is hostile input to a large program (Cranelift, and wit-component for
//! core modules). So it meets them in a process that has nothing worth taking: bytes in by one pipe,
//! code out by another, no environment, no other descriptor, no file, no network, and limits on
//! processor time, memory and wall clock. See [`sandbox`] for what holds it.

mod child;
mod descriptors;
mod limits;
mod outcome;
mod process;
pub mod sandbox;
mod slots;

use std::path::PathBuf;

use shoal_engine::EngineKey;
use tokio::{fs::File, sync::Semaphore, time::Instant};

pub use child::compile_child;
pub use limits::CompileLimits;
pub use outcome::Failure;
pub use process::Output;

use crate::metrics::Metrics;

/// First argument of the child: whoever links this crate hands such a process over to
/// [`compile_child`] before anything else.
pub const CHILD_ARGUMENT: &str = "compile-child";

/// What a child is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// Make a component of a core module.
    Componentise,
    /// Compile a component for an engine.
    Compile(EngineKey),
}

/// Starts children, as many at once as there are processors and memory for.
#[derive(Debug)]
pub struct Compiler {
    program: PathBuf,
    limits: CompileLimits,
    slots: Semaphore,
    metrics: Metrics,
}

impl Compiler {
    /// `program`: what is started with [`CHILD_ARGUMENT`]; `None`: this executable itself.
    pub fn new(program: Option<PathBuf>, limits: CompileLimits, metrics: Metrics) -> Self {
        let slots = slots::count(limits.memory_bytes);
        Self {
            // The link of the kernel, not the path: it holds also after the file was replaced.
            program: program.unwrap_or_else(|| PathBuf::from("/proc/self/exe")),
            limits,
            slots: Semaphore::new(slots),
            metrics,
        }
    }

    /// What children may use.
    pub fn limits(&self) -> &CompileLimits {
        &self.limits
    }

    /// Does `job` on `wasm`, in a child, and writes what comes of it to `output`.
    ///
    /// # Errors
    /// The component is not valid, a limit was reached, or the child could not do its work.
    pub async fn run(&self, job: &Job, wasm: File, output: File) -> Result<Output, Failure> {
        let _slot = self.slots.acquire().await.map_err(|_| Failure::Closed)?;
        let started = Instant::now();
        let result = process::run(&self.program, &self.limits, job, wasm, output).await;
        let reason = result
            .as_ref()
            .map_err(|failure| failure.refusal("", &self.limits).reason);
        self.metrics.compiled(job, reason.err(), started.elapsed());
        result
    }
}
