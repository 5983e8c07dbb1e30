//! A node with the test guests, and clients of it.

pub mod client;
pub mod guests;
pub mod memory_store;
pub mod output;
pub mod paged;
#[path = "../../../../stores/tests/backend/server.rs"]
#[allow(dead_code, reason = "the tests of the backends use more of it")]
pub mod postgres_server;
#[path = "../../../../stores/tests/proxy/mod.rs"]
pub mod proxy;
#[path = "../../../../stores/tests/redis_server/mod.rs"]
pub mod redis_server;
#[path = "../../../../stores/tests/s3_server/mod.rs"]
pub mod s3_server;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use shoal_crds::Interface;
use shoal_runtime::{
    AppRef, AppReport, Assignment, Assignments, ComponentSpec, Limits, Node, NodeConfig, Role,
    State, StoreBinding, StoreClasses, Variables,
    stores::{ClassBackend, ClassDescription},
};
use shoal_stores::{EmbeddedBlobs, EmbeddedSql, StoreId, embedded::Durability};
use tempfile::TempDir;

use self::{guests::Guests, memory_store::MemoryStore, output::Captured};

/// Anything here that takes longer is a failure.
pub const LONG: Duration = Duration::from_secs(180);

pub struct TestNode {
    pub node: Node,
    pub guests: Arc<Guests>,
    /// Of the class `embedded`.
    pub store: Arc<MemoryStore>,
    /// Of classes of backend `memory`.
    pub memory: Arc<MemoryStore>,
    pub output: Arc<Captured>,
    pub folder: TempDir,
}

impl TestNode {
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    pub fn with(settings: impl FnOnce(&mut NodeConfig)) -> Self {
        Self::build(Guests::new(), tempfile::tempdir().unwrap(), settings)
    }

    /// The next process, with what the last one left.
    pub fn again(guests: Arc<Guests>, folder: TempDir) -> Self {
        Self::build(guests, folder, |_| {})
    }

    fn build(guests: Arc<Guests>, folder: TempDir, settings: impl FnOnce(&mut NodeConfig)) -> Self {
        let (store, memory) = (MemoryStore::new(), MemoryStore::new());
        let output = Captured::new();
        let mut config = NodeConfig::new(folder.path().to_owned()).unwrap();
        config.output = output.clone();
        config.linger = Duration::from_millis(200);
        settings(&mut config);
        let sql =
            Arc::new(EmbeddedSql::open(&folder.path().join("sql"), Durability::Relaxed).unwrap());
        let blobs = Arc::new(
            EmbeddedBlobs::open(&folder.path().join("blobs"), Durability::Relaxed).unwrap(),
        );
        let stores = StoreClasses::new(store.clone(), memory.clone(), sql, blobs);
        let node = Node::start(config, guests.clone(), stores).unwrap();
        Self {
            node,
            guests,
            store,
            memory,
            output,
            folder,
        }
    }

    /// Makes these all that runs, and waits until each is ready; gives their addresses.
    pub async fn serve<const N: usize>(&self, apps: [Assignment; N]) -> [SocketAddr; N] {
        let names: Vec<_> = apps
            .iter()
            .map(|a| (a.app.clone(), a.generation.clone()))
            .collect();
        self.apply(apps);
        let mut addresses = Vec::new();
        for (app, generation) in names {
            let ready = |r: &AppReport| r.generation == generation && r.state == State::Ready;
            addresses.push(self.until(&app, ready).await.address.unwrap());
        }
        addresses.try_into().unwrap()
    }

    pub fn apply<const N: usize>(&self, apps: [Assignment; N]) {
        let code_keys = vec![self.guests.public_key()];
        self.node.apply(Assignments {
            code_keys,
            ..Assignments::all(apps)
        });
    }

    /// Gives the class `embedded` other bounds.
    pub fn bound_stores(&self, change: impl FnOnce(&mut ClassDescription)) {
        let mut class = ClassDescription::new("embedded", ClassBackend::Embedded);
        change(&mut class);
        self.node.stores().replace(vec![class]);
    }

    /// Waits until exactly so many instances are there.
    pub async fn until_running(&self, instances: u32) {
        let line =
            format!("shoal_runtime_budget{{resource=\"instances\",what=\"used\"}} {instances}\n");
        eventually(&format!("{instances} instances"), async || {
            self.node.metrics().contains(&line)
        })
        .await;
    }

    /// Waits until no instance is there, and all memory is given back.
    pub async fn until_idle(&self) {
        self.until_running(0).await;
        let nothing = "shoal_runtime_budget{resource=\"memory_bytes\",what=\"used\"} 0\n";
        eventually("all memory is given back", async || {
            self.node.metrics().contains(nothing)
        })
        .await;
    }

    /// Waits for a report of an app that is as wanted.
    pub async fn until(&self, app: &AppRef, wanted: impl Fn(&AppReport) -> bool) -> AppReport {
        let mut reports = self.node.reports();
        let found = async {
            loop {
                let changes = reports.changed().await;
                if let Some(report) = changes
                    .reports
                    .into_iter()
                    .find(|r| r.app == *app && wanted(r))
                {
                    return report;
                }
            }
        };
        match tokio::time::timeout(LONG, found).await {
            Ok(report) => report,
            Err(_) => panic!("{app} stays at {:?}", self.node.report(app)),
        }
    }
}

/// Waits until `condition` holds.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + LONG;
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn app_ref(name: &str) -> AppRef {
    AppRef {
        namespace: "test".into(),
        name: name.into(),
        uid: format!("uid-of-{name}"),
    }
}

/// An app of one guest, on a free port of the loopback, with the default limits.
pub fn app(name: &str, guest: &str) -> Assignment {
    Assignment {
        app: app_ref(name),
        revision: format!("revision-of-{guest}"),
        generation: format!("generation-of-{guest}"),
        port: 0,
        listen_address: Some([127, 0, 0, 1].into()),
        components: vec![component(name, guest, "/...")],
        limits: Limits::default(),
        role: Role::Serve,
    }
}

/// An app whose limits are changed.
pub fn limited(name: &str, guest: &str, change: impl FnOnce(&mut Limits)) -> Assignment {
    let mut app = app(name, guest);
    change(&mut app.limits);
    app
}

pub fn component(name: &str, guest: &str, route: &str) -> ComponentSpec {
    ComponentSpec {
        name: name.into(),
        digest: guests::digest(guest),
        routes: vec![route.parse().unwrap()],
        env: Vec::new(),
        variables: Variables::default(),
        stores: vec![binding("default")],
    }
}

/// An app of one guest whose label `default` is of this class.
pub fn app_of_class(name: &str, guest: &str, class: &str) -> Assignment {
    let mut app = app(name, guest);
    app.components[0].stores[0].class = class.into();
    app
}

pub fn binding(label: &str) -> StoreBinding {
    StoreBinding {
        label: label.into(),
        interface: Interface::KeyValue,
        id: StoreId::random(),
        class: "embedded".into(),
        nodes: 1,
    }
}

/// An app of one guest whose label `default` is a store of objects.
pub fn blob_app(name: &str, guest: &str) -> Assignment {
    let mut app = app(name, guest);
    app.components[0].stores[0].interface = Interface::Blob;
    app
}

/// An app of one guest whose label `default` is a SQL database.
pub fn sql_app(name: &str, guest: &str) -> Assignment {
    let mut app = app(name, guest);
    app.components[0].stores[0].interface = Interface::Sql;
    app
}
