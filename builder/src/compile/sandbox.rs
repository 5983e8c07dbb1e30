//! What holds a compile child: it gives up, for good, all that a compiler does not need.
//!
//! - Limits of the kernel: processor time, address space, no file of any size, no core dump, few
//!   descriptors.
//! - `no_new_privs`, and a seccomp filter with a list of what is allowed: memory, threads of its
//!   own process, reading and writing what is open already, clocks, ending. Anything else answers
//!   `ENOSYS`: opening a file, a socket, another process, tracing or signalling one. So there is no
//!   way to the signing key, the cache or the network.
//! - It asks to be the first to go when memory is short.

mod filter;

use std::{fs, io};

use nix::sys::resource::{Resource, setrlimit};

pub use filter::FilterError;

/// Limits that the kernel enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processor time of all threads together, in seconds.
    pub cpu_seconds: u64,
    /// Address space, in bytes.
    pub memory_bytes: u64,
}

/// The sandbox could not be set up. The process must end without reading anything.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A limit was refused.
    #[error("setting {what} failed: {source}")]
    Limit {
        /// Which.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The filter was refused.
    #[error(transparent)]
    Filter(#[from] FilterError),
}

/// Gives up what a compiler does not need, in all threads of this process. There is no way back.
///
/// # Errors
/// The kernel does not offer what is needed; then nothing may be compiled here.
pub fn enter(limits: &Limits) -> Result<(), SandboxError> {
    // Best effort: without it the kernel chooses by size alone.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let limit = |what, resource, soft, hard| {
        setrlimit(resource, soft, hard).map_err(|error| SandboxError::Limit {
            what,
            source: error.into(),
        })
    };
    limit("RLIMIT_CORE", Resource::RLIMIT_CORE, 0, 0)?;
    limit("RLIMIT_FSIZE", Resource::RLIMIT_FSIZE, 0, 0)?;
    limit("RLIMIT_NOFILE", Resource::RLIMIT_NOFILE, 16, 16)?;
    limit(
        "RLIMIT_AS",
        Resource::RLIMIT_AS,
        limits.memory_bytes,
        limits.memory_bytes,
    )?;
    // The soft limit ends it with SIGXCPU, which tells the reason; the hard one is for the case that
    // it does not.
    let cpu = limits.cpu_seconds;
    limit(
        "RLIMIT_CPU",
        Resource::RLIMIT_CPU,
        cpu,
        cpu.saturating_add(2),
    )?;
    filter::apply()?;
    Ok(())
}
