//! The node: all apps of this process.

mod actor;
mod backoff;
mod config;

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use shoal_crds::Reason;
use shoal_engine::EngineKey;
use shoal_stores::KeyValue;
use tokio::{runtime::Runtime, sync::watch, time::Instant};
use tokio_util::task::TaskTracker;

use self::actor::{Actor, Wanted};
use crate::{
    app::{App, NodeContext},
    assignment::{AppRef, Assignment, Assignments, Digest, InvalidAssignment},
    code::{CodeCache, CodeSource},
    engine::{EngineError, GuestEngine, NodeMemory},
    listener::Serving,
    metrics::{self, Metrics, TrapCounters},
    report::{AppReport, ReportHub, ReportReader, State},
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
    context: Arc<NodeContext>,
    code: Arc<CodeCache>,
    reports: Arc<ReportHub>,
    metrics: Arc<Metrics>,
    apps: Mutex<HashMap<AppRef, Entry>>,
    serving: Serving,
    /// Threads of connections and guests. Taken when the node ends.
    runtime: Mutex<Option<Runtime>>,
    /// When code that nothing needs is dropped.
    collect_at: watch::Sender<Option<Instant>>,
    linger: Duration,
}

struct Entry {
    wanted: watch::Sender<Wanted>,
    digests: Vec<Digest>,
}

impl Node {
    /// Starts a node that runs nothing yet. Code comes from `code`, stores are in `stores`. Must be
    /// called within a tokio runtime, on which the node accepts connections and takes assignments;
    /// guests run on threads of their own.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn start(
        config: NodeConfig,
        code: Arc<dyn CodeSource>,
        stores: Arc<dyn KeyValue>,
    ) -> Result<Self, StartError> {
        let engine = Arc::new(GuestEngine::start(config.instance_slots)?);
        let folder = config.state_dir.join("code");
        let code = CodeCache::open(&folder, code, Arc::clone(&engine))
            .map_err(|error| StartError::Folder { folder, error })?;
        let runtime = config.serving_runtime().map_err(StartError::Threads)?;
        let serving = Serving {
            runtime: runtime.handle().clone(),
            connections: TaskTracker::new(),
        };
        let context = Arc::new(NodeContext {
            engine,
            memory: NodeMemory::new(config.memory_budget),
            stores,
            output: config.output,
            traps: TrapCounters::default(),
            draining: false.into(),
        });
        let reports = ReportHub::new();
        let metrics = Metrics::new(Arc::clone(&context), Arc::clone(&reports));
        let inner = Arc::new(Inner {
            context,
            code: Arc::new(code),
            reports,
            metrics,
            apps: Mutex::default(),
            serving,
            runtime: Mutex::new(Some(runtime)),
            collect_at: watch::Sender::new(None),
            linger: config.linger,
        });
        tokio::spawn(collect_code(
            Arc::downgrade(&inner),
            inner.collect_at.subscribe(),
        ));
        Ok(Self { inner })
    }

    /// What code must have been made for.
    pub fn engine_key(&self) -> &EngineKey {
        self.inner.context.engine.key()
    }

    /// Takes assignments and returns at once; what becomes of them is told by [`Node::reports`].
    /// Must be called within the runtime that the node was started in.
    pub fn apply(&self, assignments: Assignments) {
        let Assignments {
            full,
            set,
            removed,
            keep,
            code_keys,
        } = assignments;
        if !code_keys.is_empty() {
            self.inner.code.trust(code_keys);
        }
        let mut apps = self.inner.apps.lock();
        let mut listed: HashSet<AppRef> = keep.into_iter().collect();
        for assignment in set {
            match assignment {
                Ok(assignment) => {
                    listed.insert(assignment.app.clone());
                    self.inner.assign(&mut apps, assignment);
                }
                Err(invalid) => {
                    listed.insert(invalid.app.clone());
                    self.inner.refuse(&apps, invalid);
                }
            }
        }
        let removed: HashSet<AppRef> = removed.into_iter().collect();
        let gone = |app: &AppRef| removed.contains(app) || full && !listed.contains(app);
        let stopped: Vec<AppRef> = apps.keys().filter(|app| gone(app)).cloned().collect();
        for app in stopped {
            if let Some(entry) = apps.remove(&app) {
                entry.wanted.send_replace(Wanted::Nothing);
            }
        }
        drop(apps);
        if full {
            self.inner.forget_refused(&listed);
        }
        self.inner
            .collect_at
            .send_replace(Some(Instant::now() + KEEP_CODE));
    }

    /// Follows what becomes of the apps.
    pub fn reports(&self) -> ReportReader {
        self.inner.reports.reader()
    }

    /// How one app stands.
    pub fn report(&self, app: &AppRef) -> Option<AppReport> {
        self.inner.reports.get(app)
    }

    /// Everything the node counts, in the Prometheus text format.
    pub fn metrics(&self) -> String {
        metrics::encode(&self.inner.metrics).unwrap_or_default()
    }

    /// From now on clients are asked to connect anew (elsewhere). Everything is still answered.
    pub fn drain(&self) {
        self.inner.context.draining.store(true, Ordering::Relaxed);
    }

    /// Closes all ports, lets requests end for at most `deadline`, and stops. The node runs nothing
    /// afterwards.
    pub async fn shutdown(&self, deadline: Duration) {
        self.drain();
        let entries: Vec<Entry> = self
            .inner
            .apps
            .lock()
            .drain()
            .map(|(_, entry)| entry)
            .collect();
        for entry in entries {
            entry.wanted.send_replace(Wanted::Closed);
        }
        self.inner.serving.connections.close();
        let ended = tokio::time::timeout(deadline, self.inner.serving.connections.wait()).await;
        if ended.is_err() {
            let open = self.inner.serving.connections.len();
            tracing::warn!(open, "connections are cut off at the deadline");
        }
        self.inner.end();
    }
}

impl Inner {
    fn assign(self: &Arc<Self>, apps: &mut HashMap<AppRef, Entry>, assignment: Assignment) {
        let digests = assignment
            .components
            .iter()
            .map(|c| c.digest.clone())
            .collect();
        if let Some(entry) = apps.get_mut(&assignment.app) {
            entry.digests = digests;
            let wanted = Wanted::Assignment(Arc::new(assignment));
            entry.wanted.send_if_modified(|now| {
                let changed = !now.is_same(&wanted);
                if changed {
                    *now = wanted;
                }
                changed
            });
            return;
        }
        let name = assignment.app.clone();
        let app = App::new(Arc::clone(&self.context), name.clone());
        self.metrics.add(&app);
        // Known from here on, not only when its task first runs.
        self.reports.set(AppReport {
            app: name.clone(),
            generation: assignment.generation.clone(),
            serving_revision: None,
            state: State::Fetching,
            reason: Some(Reason::Fetching),
            message: String::new(),
            address: None,
        });
        let (wanted, receiver) = watch::channel(Wanted::Assignment(Arc::new(assignment)));
        let actor = Actor {
            app,
            code: Arc::clone(&self.code),
            reports: Arc::clone(&self.reports),
            metrics: Arc::clone(&self.metrics),
            serving: self.serving.clone(),
            linger: self.linger,
            listener: None,
        };
        tokio::spawn(actor.run(receiver));
        apps.insert(name, Entry { wanted, digests });
    }

    /// An assignment that is not valid changes nothing but the report: what serves goes on.
    fn refuse(&self, apps: &HashMap<AppRef, Entry>, invalid: InvalidAssignment) {
        let InvalidAssignment {
            app,
            generation,
            message,
        } = invalid;
        let known = self.reports.get(&app);
        if known.as_ref().is_none_or(|known| known.message != message) {
            tracing::warn!(%app, message, "the assignment is not valid");
        }
        let before = known.filter(|_| apps.contains_key(&app));
        self.reports.set(AppReport {
            app,
            generation,
            serving_revision: before.as_ref().and_then(|r| r.serving_revision.clone()),
            state: State::Failed,
            reason: Some(Reason::InvalidAssignment),
            message,
            address: before.and_then(|report| report.address),
        });
    }

    /// Drops reports of apps that were refused before and are not listed any more.
    fn forget_refused(&self, listed: &HashSet<AppRef>) {
        let apps = self.apps.lock();
        for report in self.reports.reader().all() {
            let refused = report.reason == Some(Reason::InvalidAssignment);
            if refused && !listed.contains(&report.app) && !apps.contains_key(&report.app) {
                self.reports.remove(&report.app);
            }
        }
    }

    fn needed(&self) -> HashSet<Digest> {
        self.apps
            .lock()
            .values()
            .flat_map(|entry| entry.digests.iter().cloned())
            .collect()
    }

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

/// Drops code that nothing needs, a while after the last change.
async fn collect_code(
    node: std::sync::Weak<Inner>,
    mut collect_at: watch::Receiver<Option<Instant>>,
) {
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
                    let needed = inner.needed();
                    inner.code.collect(needed).await;
                    break;
                }
                changed = collect_at.changed() => if changed.is_err() { return },
            }
        }
    }
}
