//! The node: all apps of this process.

mod actor;
mod apps;
mod backoff;
mod config;
mod kernel;

use std::{
    io,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use shoal_engine::EngineKey;
use tokio::{runtime::Runtime, sync::watch, time::Instant};
use tokio_util::task::TaskTracker;

use self::apps::Apps;
use crate::{
    app::NodeContext,
    assignment::{AppRef, Assignments},
    code::{CodeCache, CodeSource},
    engine::{EngineError, GuestEngine, NodeMemory},
    listener::Serving,
    metrics::{self, Metrics, TrapCounters},
    report::{AppReport, ReportHub, ReportReader},
    stores::StoreClasses,
    turns::Turns,
};

pub(crate) use backoff::Backoff;
pub use config::NodeConfig;

/// Code that nothing needs any more stays for so long: apps come back.
const KEEP_CODE: Duration = Duration::from_secs(60);

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No guest can run here.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The folder for code cannot be used.
    #[error("code cannot be kept in {folder}: {error}")]
    Folder {
        /// Which folder.
        folder: std::path::PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The system gives no threads.
    #[error("no threads to run guests on: {0}")]
    Threads(io::Error),
}

/// Serves apps. Clones are the same node; it ends with [`Node::shutdown`] or with the last clone.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    apps: Arc<Apps>,
    /// Threads of connections and guests. Taken when the node ends.
    runtime: Mutex<Option<Runtime>>,
    /// When code that nothing needs is dropped.
    collect_at: watch::Sender<Option<Instant>>,
}

impl Node {
    /// Starts a node that runs nothing yet. Code comes from `code`, stores are of the classes in `stores`.
    /// Must be called within a tokio runtime, on which the node accepts connections and takes assignments;
    /// guests run on threads of their own.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn start(
        config: NodeConfig,
        code: Arc<dyn CodeSource>,
        stores: Arc<StoreClasses>,
    ) -> Result<Self, StartError> {
        let engine = Arc::new(GuestEngine::start(config.instance_slots)?);
        let folder = config.state_dir.join("code");
        let code = CodeCache::open(&folder, code, Arc::clone(&engine), config.code_room())
            .map_err(|error| StartError::Folder { folder, error })?;
        let runtime = config.serving_runtime().map_err(StartError::Threads)?;
        stores.serve(runtime.handle().clone());
        let serving = Serving {
            runtime: runtime.handle().clone(),
            connections: TaskTracker::new(),
        };
        let context = Arc::new(NodeContext {
            engine,
            memory: NodeMemory::new(config.memory_budget),
            stores,
            output: config.output,
            turns: Turns::new(config.threads),
            traps: TrapCounters::default(),
            draining: false.into(),
        });
        let reports = ReportHub::new();
        let metrics = Metrics::new(
            Arc::clone(&context),
            Arc::clone(&code),
            Arc::clone(&reports),
        );
        runtime.spawn(unmap_idle(Arc::downgrade(&code), config.code_idle));
        let apps = Arc::new(Apps {
            context,
            code,
            reports,
            metrics,
            serving,
            linger: config.linger,
            entries: Mutex::default(),
        });
        let (runtime, collect_at) = (Mutex::new(Some(runtime)), watch::Sender::new(None));
        let inner = Arc::new(Inner {
            apps,
            runtime,
            collect_at,
        });
        tokio::spawn(collect_code(
            Arc::downgrade(&inner),
            inner.collect_at.subscribe(),
        ));
        Ok(Self { inner })
    }

    /// What code must have been made for.
    pub fn engine_key(&self) -> &EngineKey {
        self.inner.apps.context.engine.key()
    }

    /// Takes assignments and returns at once; what becomes of them is told by [`Node::reports`].
    /// Must be called within the runtime that the node was started in.
    pub fn apply(&self, assignments: Assignments) {
        self.inner.apps.apply(assignments);
        self.inner
            .collect_at
            .send_replace(Some(Instant::now() + KEEP_CODE));
    }

    /// Follows what becomes of the apps.
    pub fn reports(&self) -> ReportReader {
        self.inner.apps.reports.reader()
    }

    /// How one app stands.
    pub fn report(&self, app: &AppRef) -> Option<AppReport> {
        self.inner.apps.reports.get(app)
    }

    /// The classes of its apps' stores.
    pub fn stores(&self) -> &Arc<StoreClasses> {
        &self.inner.apps.context.stores
    }

    /// Everything the node counts, in the Prometheus text format.
    pub fn metrics(&self) -> String {
        metrics::encode(&self.inner.apps.metrics).unwrap_or_default()
    }

    /// From now on clients are asked to connect anew (elsewhere). Everything is still answered.
    pub fn drain(&self) {
        let draining = &self.inner.apps.context.draining;
        draining.store(true, Ordering::Relaxed);
    }

    /// Closes all ports, lets requests end for at most `deadline`, and stops. The node runs nothing
    /// afterwards.
    pub async fn shutdown(&self, deadline: Duration) {
        self.drain();
        let connections = &self.inner.apps.serving.connections;
        let ended = tokio::time::timeout(deadline, async {
            for closing in self.inner.apps.close() {
                // A task that failed has dropped its listener as well.
                let _ = closing.await;
            }
            connections.close();
            connections.wait().await;
        });
        if ended.await.is_err() {
            let open = connections.len();
            tracing::warn!(open, "connections are cut off at the deadline");
        }
        self.inner.end();
    }
}

impl Inner {
    fn end(&self) {
        if let Some(runtime) = self.runtime.lock().take() {
            // Guests that compute are left behind: they end at their next turn.
            runtime.shutdown_background();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end();
    }
}

/// Unmaps code that no request uses for so long.
async fn unmap_idle(code: Weak<CodeCache>, idle: Duration) {
    // Ten looks in that time: none stays much longer.
    let every = (idle / 10).max(Duration::from_millis(100));
    loop {
        tokio::time::sleep(every).await;
        let Some(code) = code.upgrade() else { return };
        code.unmap_idle(idle).await;
    }
}

/// Drops code that nothing needs, a while after the last change.
async fn collect_code(node: Weak<Inner>, mut collect_at: watch::Receiver<Option<Instant>>) {
    loop {
        if collect_at.changed().await.is_err() {
            return;
        }
        loop {
            let Some(at) = *collect_at.borrow_and_update() else {
                break;
            };
            tokio::select! {
                () = tokio::time::sleep_until(at) => {
                    let Some(inner) = node.upgrade() else { return };
                    let needed = inner.apps.needed();
                    inner.apps.code.collect(needed).await;
                    break;
                }
                changed = collect_at.changed() => if changed.is_err() { return },
            }
        }
    }
}
