//! A store pod's own code on the streams of an operator, over real connections.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use shoal_crds::{DATA_FINALIZER, Store};
use shoal_plan::{AppKey, PortRecord, WriteAction, plan};
use shoal_protocol::server::{self, Listener};
use shoal_protocol::v1::housekeeping_server::HousekeepingServer;
use shoal_protocol::v1::{self, GrantSet, PodGrants};
use shoal_protocol::{
    CertificateAuthority, ClientAuth, Grants, Identity, LiveIdentity, Role, Trust,
};
use shoal_stores::housekeeping::TransferService;
use shoal_stores::server::Backends;
use shoal_stores::{
    Embedded, EmbeddedBlobs, EmbeddedSql, KeyValue, Memory, StoreId, StoreLimits, Usage,
    embedded::{Durability, EmbeddedOptions},
};

use super::{Housekeeping, HousekeepingService};
use crate::classes::{ClassBook, Seen};
use crate::world::World;

/// An operator and a store pod that dials it.
pub(crate) struct Parts {
    pub(crate) ca: CertificateAuthority,
    pub(crate) world: Arc<World>,
    pub(crate) classes: Arc<ClassBook>,
    operator: Arc<Housekeeping>,
    pod: Arc<shoal_stores::housekeeping::Housekeeping>,
    pub(crate) embedded: Arc<Embedded>,
    pub(crate) sql: Arc<EmbeddedSql>,
    /// Where the store pod is dialled.
    pub(crate) store: String,
    _folder: tempfile::TempDir,
}

pub(crate) fn identity(ca: &CertificateAuthority, role: Role) -> LiveIdentity {
    let issued = ca.issue(&Identity::new(role, "", "node1", "pod").unwrap());
    let issued = issued.unwrap();
    let live = LiveIdentity::new(Trust::from_pem(ca.certificate_pem()).unwrap());
    live.set_certificate(&issued.certificate_chain, &issued.key)
        .unwrap();
    live
}

impl Parts {
    /// The operator leads, and knows the class `embedded`. Some pod may open what is `granted`.
    pub(crate) fn start(granted: &[StoreId]) -> Self {
        let world = Arc::new(World::new(Timestamp::now()));
        let classes = Arc::new(ClassBook::default());
        let operator = Housekeeping::new(world.clone(), classes.clone());
        let ca = CertificateAuthority::generate().unwrap();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let target = listener.local_addr().unwrap().to_string();
        let incoming = listener.incoming(&identity(&ca, Role::Operator), ClientAuth::Optional);
        let service = HousekeepingServer::new(HousekeepingService(operator.clone()));
        tokio::spawn(
            server::builder()
                .add_service(service)
                .serve_with_incoming(incoming.unwrap()),
        );

        let folder = tempfile::tempdir().unwrap();
        let stores = folder.path().join("stores");
        // No test of these ends with the machine.
        let relaxed = EmbeddedOptions {
            durability: Durability::Relaxed,
            ..EmbeddedOptions::default()
        };
        let embedded = Arc::new(Embedded::open(&stores, relaxed).unwrap());
        let sql =
            Arc::new(EmbeddedSql::open(&folder.path().join("sql"), Durability::Relaxed).unwrap());
        let own = Backends {
            embedded: embedded.clone(),
            memory: Arc::new(Memory::new(Default::default())),
            blobs: Arc::new(
                EmbeddedBlobs::open(&folder.path().join("blobs"), Durability::Relaxed).unwrap(),
            ),
            sql: sql.clone(),
        };
        let granted = PodGrants {
            pod_uid: "runtime".to_owned(),
            store_ids: granted.iter().map(StoreId::to_string).collect(),
            ..Default::default()
        };
        let grants = Grants::fixed(GrantSet {
            epoch: 1,
            pods: vec![granted],
        });
        let catalog = folder.path().join("catalog.db");
        let pod = shoal_stores::housekeeping::Housekeeping::new(own, grants, &catalog);
        tokio::spawn(pod.clone().run(target, identity(&ca, Role::Store)));
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let store = listener.local_addr().unwrap().to_string();
        let incoming = listener.incoming(&identity(&ca, Role::Store), ClientAuth::Required);
        let transfer = TransferService::service(pod.clone());
        tokio::spawn(
            server::builder()
                .add_service(transfer)
                .serve_with_incoming(incoming.unwrap()),
        );
        Self {
            ca,
            store,
            world,
            classes,
            operator,
            pod,
            embedded,
            sql,
            _folder: folder,
        }
    }

    pub(crate) fn lead(&self, epoch: u64) {
        let embedded = v1::StoreClass {
            name: "embedded".to_owned(),
            backend: Some(v1::store_class::Backend::Embedded(v1::EmbeddedBackend {})),
            ..Default::default()
        };
        let name = embedded.name.clone();
        let all = BTreeMap::from([(name, Seen::Class(Box::new(embedded)))]);
        self.classes.publish(all);
        self.world
            .with(|index| index.lead(&PortRecord::default(), Timestamp::now()));
        self.operator.lead(epoch);
    }

    async fn fill(&self, id: StoreId) {
        let pair = vec![("key".to_owned(), "value".into())];
        let set = self.embedded.set(id, pair, StoreLimits::default());
        set.await.unwrap();
    }

    async fn holds(&self, id: StoreId) -> Usage {
        self.embedded.usage(id).await.unwrap()
    }

    /// What the planner has to write of the Store's App now, as the operator's planner would ask.
    pub(crate) fn planned(&self) -> Vec<WriteAction> {
        let writes = self.world.with(|index| {
            let now = Timestamp::now();
            index.tell_usages(10, now);
            plan(index, &AppKey::new("shop", "hello"), now).writes
        });
        let changed = self.world.with(shoal_plan::Index::take_changed_duties);
        self.operator.changed(&changed);
        writes.into_iter().map(|write| write.action).collect()
    }

    pub(crate) async fn orphan_since(&self, id: StoreId) -> Option<Option<i64>> {
        let entries = self.pod.catalog().clone().entries().await.unwrap();
        let entry = entries.into_iter().find(|entry| entry.store == id);
        entry.map(|entry| entry.orphan_since)
    }
}

pub(crate) fn store(id: StoreId, more: Value) -> Store {
    let mut value = json!({
        "apiVersion": "shoal.dev/v1alpha1", "kind": "Store",
        "metadata": {"name": "hello-default", "namespace": "shop", "uid": "u", "resourceVersion": "1"},
        "spec": {"app": "hello", "label": "default", "className": "embedded", "id": id.to_string()},
    });
    for (part, fields) in more.as_object().unwrap() {
        for (name, field) in fields.as_object().unwrap() {
            value[part][name] = field.clone();
        }
    }
    serde_json::from_value(value).unwrap()
}

/// One that someone deleted, whose data is to go with it.
fn leaving(id: StoreId) -> Store {
    store(
        id,
        json!({
            "metadata": {
                "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [DATA_FINALIZER],
            },
            "spec": {"reclaimPolicy": "Delete"},
        }),
    )
}

pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    for _ in 0..18_000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never came true: {what}");
}

#[tokio::test]
async fn what_a_store_holds_comes_to_stand_in_its_status_whoever_leads() {
    let parts = Parts::start(&[]);
    let (id, late) = (StoreId::random(), StoreId::random());
    parts.fill(id).await;
    parts
        .world
        .change(|index| index.apply(store(id, json!({}))));
    parts.lead(1);
    let said = |keys: i64| {
        let planned = parts.planned();
        planned.into_iter().any(|action| match action {
            WriteAction::PatchStoreStatus { status, .. } => {
                status.keys == Some(keys) && status.bytes == Some(8)
            }
            _ => false,
        })
    };
    until("the count is written", async || said(1)).await;
    parts.operator.resign();
    let other = store(late, json!({"metadata": {"name": "other", "uid": "v"}}));
    parts.world.change(|index| index.apply(other));
    parts.lead(2);
    until("the new leader's Stores are known", async || {
        parts.planned();
        parts.orphan_since(late).await == Some(None)
    })
    .await;
    assert_eq!(parts.orphan_since(id).await, Some(None));
}

#[tokio::test]
async fn data_that_is_to_go_is_removed_and_then_the_store_may_go() {
    let parts = Parts::start(&[]);
    let id = StoreId::random();
    parts.fill(id).await;
    parts.world.change(|index| index.apply(leaving(id)));
    parts.lead(1);
    until("the finalizer may go", async || {
        let planned = parts.planned();
        planned.iter().any(|action| {
            matches!(action, WriteAction::HoldStore { finalizers, .. } if finalizers.is_empty())
        })
    })
    .await;
    assert_eq!(parts.holds(id).await, Usage::default());
    assert_eq!(parts.orphan_since(id).await, None);
}

#[tokio::test]
async fn nothing_is_removed_that_a_pod_may_still_open() {
    let id = StoreId::random();
    let parts = Parts::start(&[id]);
    parts.fill(id).await;
    parts.world.change(|index| index.apply(leaving(id)));
    parts.lead(1);
    until("it says why", async || {
        let planned = parts.planned();
        planned.iter().any(|action| match action {
            WriteAction::PatchStoreStatus { status, .. } => status
                .conditions
                .iter()
                .any(|one| one.message.contains("a node may still use it")),
            _ => false,
        })
    })
    .await;
    assert_eq!(parts.holds(id).await.keys, 1);
}

#[tokio::test]
async fn data_of_a_store_that_is_gone_is_an_orphan_until_someone_knows_it_again() {
    let parts = Parts::start(&[]);
    let id = StoreId::random();
    parts.fill(id).await;
    let kept = store(id, json!({}));
    parts.world.change(|index| index.apply(kept.clone()));
    parts.lead(1);
    until("it is seen", async || {
        parts.planned();
        parts.orphan_since(id).await == Some(None)
    })
    .await;
    parts.world.change(|index| index.delete(&kept));
    until("it is an orphan", async || {
        parts.planned();
        matches!(parts.orphan_since(id).await, Some(Some(_)))
    })
    .await;
    assert_eq!(parts.holds(id).await.keys, 1);
    parts.world.change(|index| index.apply(kept.clone()));
    until("it is none any more", async || {
        parts.planned();
        parts.orphan_since(id).await == Some(None)
    })
    .await;
}
