//! How a node is set up.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use tokio::runtime::{Builder, Runtime};

use crate::host::output::{JsonLines, OutputSink};

/// Settings of a node. All of them have defaults but the folder.
pub struct NodeConfig {
    /// Folder that code is kept in, owned by this user; it must allow execution.
    pub state_dir: PathBuf,
    /// Instances at once, of all apps.
    pub instance_slots: u32,
    /// Linear memory of all guests together, in bytes.
    pub memory_budget: u64,
    /// Threads that connections and guests run on.
    pub threads: usize,
    /// A port stays open so long after its app was removed, for clients that do not know it yet.
    pub linger: Duration,
    /// Where the lines that guests print go.
    pub output: Arc<dyn OutputSink>,
}

/// Instances at once, unless said otherwise.
const INSTANCE_SLOTS: u32 = 1000;
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
            memory_budget: memory_budget(),
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
}

/// Four fifths of what this process may use, less what it needs itself.
fn memory_budget() -> u64 {
    let total = machine_memory().unwrap_or(2 << 30);
    let limit = cgroup_memory().map_or(total, |limit| limit.min(total));
    (limit / 5 * 4).saturating_sub(OWN_MEMORY).max(64 << 20)
}

fn machine_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The limit of this container's cgroup, version 2 or 1, if it has one.
fn cgroup_memory() -> Option<u64> {
    let read = |path| fs::read_to_string(path).ok()?.trim().parse().ok();
    read("/sys/fs/cgroup/memory.max")
        .or_else(|| read("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
}
