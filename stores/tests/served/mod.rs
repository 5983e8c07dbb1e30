//! A `shoal-store` within the test's process, and runtimes that call it over real sockets.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::sync::Arc;

use shoal_protocol::{
    CertificateAuthority, ClientAuth, Grants, Identity, LiveIdentity, Role, Trust,
    server::{self, Listener},
    v1::{GrantSet, PodGrants, StoreLimits},
};
use shoal_stores::{
    Embedded, EmbeddedBlobs, EmbeddedSql, Memory, Remote, RemoteBlobs, RemoteSql, StoreId,
    embedded::{Durability, EmbeddedOptions},
    memory::MemoryOptions,
    server::{Admission, Backends, BlobsServer, Ceilings, Operations, Server, SqlServer},
};

/// No test of it ends with the machine: none waits for its disk.
const RELAXED: EmbeddedOptions = EmbeddedOptions {
    durability: Durability::Relaxed,
    ..EmbeddedOptions::DURABLE
};

/// See the module. Dropping it ends the server.
pub struct Served {
    pub ca: CertificateAuthority,
    pub target: String,
    pub operations: Arc<Operations>,
    pub backends: Backends,
    task: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

/// What the class of every Store says, if that is known.
pub struct Classes(pub Option<StoreLimits>);

impl Ceilings for Classes {
    fn of(&self, _: StoreId) -> Option<StoreLimits> {
        self.0
    }
}

impl Served {
    /// Serves empty stores; each pod may open the ids beside it.
    pub fn start(grants: &[(&str, &[StoreId])]) -> Self {
        Self::under(Classes(None), grants)
    }

    /// The same, of such classes.
    pub fn under(classes: Classes, grants: &[(&str, &[StoreId])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = CertificateAuthority::generate().unwrap();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let target = listener.local_addr().unwrap().to_string();
        let identity = identity(&ca, Role::Store, "store-pod");
        let incoming = listener.incoming(&identity, ClientAuth::Required).unwrap();
        let pods = grants.iter().map(|(pod, ids)| PodGrants {
            pod_uid: (*pod).to_owned(),
            store_ids: ids.iter().map(StoreId::to_string).collect(),
            ..Default::default()
        });
        let grants = Grants::fixed(GrantSet {
            epoch: 1,
            pods: pods.collect(),
        });
        let operations = Arc::new(Operations::default());
        let backends = Backends {
            embedded: Arc::new(Embedded::open(folder.path(), RELAXED).unwrap()),
            memory: Arc::new(Memory::new(MemoryOptions::default())),
            blobs: Arc::new(
                EmbeddedBlobs::open(&folder.path().join("blobs"), Durability::Relaxed).unwrap(),
            ),
            sql: Arc::new(
                EmbeddedSql::open(&folder.path().join("sql"), Durability::Relaxed).unwrap(),
            ),
        };
        let admission = Admission::new(grants, Arc::new(classes));
        let service = Server::service(backends.clone(), admission.clone(), operations.clone());
        let sql = SqlServer::service(backends.sql.clone(), admission.clone(), operations.clone());
        let blobs = BlobsServer::service(backends.blobs.clone(), admission, operations.clone());
        let task = tokio::spawn(async move {
            server::builder()
                .add_service(service)
                .add_service(sql)
                .add_service(blobs)
                .serve_with_incoming(incoming)
                .await
                .unwrap();
        });
        Self {
            ca,
            target,
            operations,
            backends,
            task,
            _folder: folder,
        }
    }

    pub fn runtime(&self, pod: &str) -> Remote {
        self.part(Role::Runtime, pod)
    }

    pub fn sql(&self, pod: &str) -> RemoteSql {
        let identity = identity(&self.ca, Role::Runtime, pod);
        RemoteSql::new(&self.target, &identity).unwrap()
    }

    pub fn blobs(&self, pod: &str) -> RemoteBlobs {
        self.blobs_of(Role::Runtime, pod)
    }

    pub fn blobs_of(&self, role: Role, pod: &str) -> RemoteBlobs {
        RemoteBlobs::new(&self.target, &identity(&self.ca, role, pod)).unwrap()
    }

    pub fn part(&self, role: Role, pod: &str) -> Remote {
        Remote::new(&self.target, &identity(&self.ca, role, pod)).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn identity(ca: &CertificateAuthority, role: Role, pod: &str) -> LiveIdentity {
    let pool = if role == Role::Runtime { "default" } else { "" };
    let issued = ca
        .issue(&Identity::new(role, pool, "node1", pod).unwrap())
        .unwrap();
    let live = LiveIdentity::new(Trust::from_pem(ca.certificate_pem()).unwrap());
    live.set_certificate(&issued.certificate_chain, &issued.key)
        .unwrap();
    live
}
