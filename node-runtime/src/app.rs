//! An app on this node: what serves its requests now, and what it uses.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use arc_swap::ArcSwapOption;
use shoal_artifact::{RouteTable, route::DuplicateRoute};
use tokio::sync::Notify;

use crate::{
    assignment::{AppRef, Assignment, ComponentSpec, Limits, StoreBinding, Variables},
    code::ComponentCode,
    engine::{AppMemory, GuestEngine, NodeMemory},
    host::output::{OutputBudget, OutputSink},
    metrics::{AppMetrics, TrapCounters},
    serve::{RouteHeaders, TrapLog},
    stores::StoreClasses,
    turns::{Share, Turns},
};

/// What all apps of the node share.
pub struct NodeContext {
    pub(crate) engine: Arc<GuestEngine>,
    pub(crate) memory: Arc<NodeMemory>,
    pub(crate) stores: Arc<StoreClasses>,
    pub(crate) output: Arc<dyn OutputSink>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) traps: TrapCounters,
    /// The node is to go: clients are asked to connect anew elsewhere.
    pub(crate) draining: AtomicBool,
}

/// An app, from its first assignment until it is gone from the node.
pub struct App {
    pub(crate) node: Arc<NodeContext>,
    pub(crate) printer: Arc<AppPrinter>,
    pub(crate) memory: Arc<AppMemory>,
    pub(crate) share: Arc<Share>,
    pub(crate) serving: ArcSwapOption<Revision>,
    /// Its endpoint leaves the Service: clients are asked to connect anew elsewhere.
    pub(crate) draining: AtomicBool,
    pub(crate) metrics: AppMetrics,
    pub(crate) trap_log: TrapLog,
    /// A request found that its code is not to be had: whoever looks after the app is to look.
    pub(crate) code_lost: Notify,
    in_flight: AtomicU32,
    connections: AtomicU32,
}

/// Under which name an app's guests print, and how much.
pub struct AppPrinter {
    pub(crate) name: AppRef,
    pub(crate) sink: Arc<dyn OutputSink>,
    pub(crate) budget: OutputBudget,
}

/// What answers an app's requests; replaced as a whole.
pub struct Revision {
    /// `Assignment.revision`
    pub id: String,
    /// Bounds on what it may use.
    pub limits: Limits,
    pub(crate) routes: RouteTable<Target>,
}

/// Where a route leads.
pub(crate) struct Target {
    pub(crate) component: Arc<Component>,
    pub(crate) headers: RouteHeaders,
}

/// A component of an app with its settings. Code is shared by digest; settings are not.
pub struct Component {
    pub(crate) app: Arc<AppPrinter>,
    pub(crate) name: String,
    pub(crate) code: Arc<ComponentCode>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) variables: Variables,
    pub(crate) stores: Vec<StoreBinding>,
}

/// One of the requests that an app may answer at once.
pub(crate) struct Permit(Arc<App>);

/// One of the connections that an app may have.
pub(crate) struct ConnectionPermit(Arc<App>);

/// Connections that an app may have for each request that it may answer at once, and at least.
const CONNECTIONS_PER_REQUEST: u32 = 16;
const LEAST_CONNECTIONS: u32 = 1024;

impl App {
    pub(crate) fn new(node: Arc<NodeContext>, name: AppRef) -> Arc<Self> {
        let sink = Arc::clone(&node.output);
        let share = Arc::new(node.turns.share());
        Arc::new(Self {
            node,
            printer: Arc::new(AppPrinter {
                name,
                sink,
                budget: OutputBudget::default(),
            }),
            memory: Arc::default(),
            share,
            serving: ArcSwapOption::empty(),
            draining: AtomicBool::new(false),
            metrics: AppMetrics::default(),
            trap_log: TrapLog::default(),
            code_lost: Notify::new(),
            in_flight: AtomicU32::new(0),
            connections: AtomicU32::new(0),
        })
    }

    /// Which app it is.
    pub fn name(&self) -> &AppRef {
        &self.printer.name
    }

    /// Whether clients are to connect anew elsewhere.
    pub(crate) fn is_leaving(&self) -> bool {
        self.draining.load(Ordering::Relaxed) || self.node.draining.load(Ordering::Relaxed)
    }

    /// Admits a request, if fewer than `most` are being answered.
    pub(crate) fn admit(self: &Arc<Self>, most: u32) -> Option<Permit> {
        take(&self.in_flight, most).then(|| Permit(Arc::clone(self)))
    }

    /// Admits a connection.
    pub(crate) fn connect(self: &Arc<Self>) -> Option<ConnectionPermit> {
        let concurrency = self
            .serving
            .load()
            .as_ref()
            .map_or(0, |r| r.limits.concurrency);
        let most = concurrency
            .saturating_mul(CONNECTIONS_PER_REQUEST)
            .max(LEAST_CONNECTIONS);
        take(&self.connections, most).then(|| ConnectionPermit(Arc::clone(self)))
    }
}

fn take(count: &AtomicU32, most: u32) -> bool {
    let fits = count.fetch_add(1, Ordering::Relaxed) < most;
    if !fits {
        count.fetch_sub(1, Ordering::Relaxed);
    }
    fits
}

impl Permit {
    pub(crate) fn app(&self) -> &App {
        &self.0
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Revision {
    /// Puts together what `assignment` describes; `code` is in the order of its components.
    ///
    /// # Errors
    /// Two routes that match the same paths.
    pub(crate) fn new(
        app: &App,
        assignment: &Assignment,
        code: Vec<Arc<ComponentCode>>,
    ) -> Result<Self, DuplicateRoute> {
        let mut entries = Vec::new();
        for (spec, code) in assignment.components.iter().zip(code) {
            let ComponentSpec {
                name,
                routes,
                env,
                variables,
                stores,
                ..
            } = spec.clone();
            let app = Arc::clone(&app.printer);
            let component = Arc::new(Component {
                app,
                name,
                code,
                env,
                variables,
                stores,
            });
            entries.extend(routes.into_iter().map(|route| {
                let headers = RouteHeaders::new(&route);
                (
                    route,
                    Target {
                        component: Arc::clone(&component),
                        headers,
                    },
                )
            }));
        }
        let routes = RouteTable::new(entries)?;
        Ok(Self {
            id: assignment.revision.clone(),
            limits: assignment.limits,
            routes,
        })
    }
}
