//! How a node is set up.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use tokio::runtime::{Builder, Runtime};

use super::kernel::KernelLimits;
use crate::{
    code::Amount,
    host::output::{JsonLines, OutputSink},
};

/// Settings of a node. All of them have defaults but the folder.
pub struct NodeConfig {
    /// Folder that code is kept in, owned by this user; it must allow execution.
    pub state_dir: PathBuf,
    /// Instances at once, of all apps.
    pub instance_slots: u32,
    /// Linear memory of all guests together, in bytes.
    pub memory_budget: u64,
    /// What mapped code may take at most. Unset: what the kernel leaves beside the slots.
    pub code_room: Option<Amount>,
    /// Code that no request used for so long is unmapped.
    pub code_idle: Duration,
    /// Threads that connections and guests run on.
    pub threads: usize,
    /// A port stays open so long after its app was removed, for clients that do not know it yet.
    pub linger: Duration,
    /// Where the lines that guests print go.
    pub output: Arc<dyn OutputSink>,
}

/// Instances at once, unless said otherwise.
const INSTANCE_SLOTS: u32 = 1000;
const CODE_IDLE: Duration = Duration::from_secs(15 * 60);
const LINGER: Duration = Duration::from_secs(5);
/// What is left to the runtime itself of what the machine (or its cgroup) gives.
const OWN_MEMORY: u64 = 128 << 20;

impl NodeConfig {
    /// The defaults; guests print to standard output.
    ///
    /// # Errors
    /// The system gives no thread to print with.
    pub fn new(state_dir: PathBuf) -> io::Result<Self> {
        Ok(Self {
            state_dir,
            instance_slots: INSTANCE_SLOTS,
            memory_budget: memory_budget(KernelLimits::read().memory),
            code_room: None,
            code_idle: CODE_IDLE,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            linger: LINGER,
            output: Arc::new(JsonLines::start(io::stdout())?),
        })
    }

    pub(super) fn serving_runtime(&self) -> io::Result<Runtime> {
        Builder::new_multi_thread()
            .worker_threads(self.threads.max(1))
            .thread_name("shoal-guest")
            // Guests that compute hold their thread for up to a millisecond each: sockets and timers
            // are looked at between a few of them, not between sixty.
            .event_interval(7)
            .enable_all()
            .build()
    }

    pub(super) fn code_room(&self) -> Amount {
        self.code_room
            .unwrap_or_else(|| KernelLimits::read().code(self.instance_slots))
    }
}

/// Four fifths of what this process may use, less what it needs itself.
fn memory_budget(limit: u64) -> u64 {
    (limit / 5 * 4).saturating_sub(OWN_MEMORY).max(64 << 20)
}
