//! Who gets data whose Store is gone, and who keeps it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::Method;
use serde_json::{Value, json};
use shoal_crds::StoreClass;
use shoal_protocol::server::{self, Listener};
use shoal_protocol::v1::transfer_server::{Transfer, TransferServer};
use shoal_protocol::{ClientAuth, Role, v1};
use shoal_stores::StoreId;
use tonic::{Request, Response, Status};

use super::api_server::{ADMIN, ApiServer};
use super::{ROOT, World};
use crate::housekeeping::tests::{identity, store};

#[tokio::test(flavor = "multi_thread")]
async fn data_is_adopted_only_where_its_class_may_be_bound() {
    let world = World::start().await;
    let id = world.orphan().await;
    let class = json!({
        "apiVersion": "shoal.dev/v1alpha1", "kind": "StoreClass",
        "metadata": {"name": "embedded", "uid": "embedded", "resourceVersion": "1"},
        "spec": {
            "backend": {"embedded": {}}, "namespaceSelector": {"matchLabels": {"team": "a"}},
        },
    });
    let class: StoreClass = serde_json::from_value(class).unwrap();
    world.parts.world.change(|index| index.apply(class));
    let adopt = async |namespace: &str| {
        let path = format!("{ROOT}/storeorphans/{id}/adopt");
        let body = json!({"namespace": namespace}).to_string();
        world.ask(ADMIN, Method::POST, &path, &body).await
    };
    for (namespace, words) in [
        ("bank", "is not for namespace `bank`"),
        ("nowhere", "`nowhere` does not exist"),
    ] {
        let (code, message) = adopt(namespace).await.unwrap_err();
        assert_eq!(code, 409, "{message}");
        assert!(message.contains(words), "{message}");
    }
    assert!(world.server.stores.lock().is_empty());

    world.namespace("bank", &json!({"team": "a"}));
    let made: Value = serde_json::from_str(&adopt("bank").await.unwrap()).unwrap();
    assert_eq!(made["metadata"]["namespace"], "bank");
}

/// A store pod that has more to remove than one call does. After the first somebody gives the data to a Store.
struct Slow {
    server: Arc<ApiServer>,
    purges: Arc<AtomicUsize>,
    then: Value,
}

#[tonic::async_trait]
impl Transfer for Slow {
    async fn read_entries(
        &self,
        _: Request<v1::ReadEntriesRequest>,
    ) -> Result<Response<v1::ReadEntriesResponse>, Status> {
        Err(Status::unimplemented("it purges"))
    }

    async fn write_entries(
        &self,
        _: Request<v1::WriteEntriesRequest>,
    ) -> Result<Response<v1::WriteEntriesResponse>, Status> {
        Err(Status::unimplemented("it purges"))
    }

    async fn list_orphans(
        &self,
        _: Request<v1::ListOrphansRequest>,
    ) -> Result<Response<v1::ListOrphansResponse>, Status> {
        Err(Status::unimplemented("it purges"))
    }

    async fn purge_orphan(
        &self,
        _: Request<v1::PurgeOrphanRequest>,
    ) -> Result<Response<v1::PurgeOrphanResponse>, Status> {
        let is_first = self.purges.fetch_add(1, Ordering::Relaxed) == 0;
        if is_first {
            self.server.stores.lock().push(self.then.clone());
        }
        // It is over some time, whoever asks.
        Ok(Response::new(v1::PurgeOrphanResponse { done: !is_first }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_ends_once_a_store_has_the_data() {
    let mut world = World::start().await;
    let id = StoreId::random();
    let purges = Arc::new(AtomicUsize::default());
    let slow = Slow {
        server: world.server.clone(),
        purges: purges.clone(),
        then: serde_json::to_value(store(id, json!({}))).unwrap(),
    };
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let incoming = listener.incoming(
        &identity(&world.parts.ca, Role::Store),
        ClientAuth::Required,
    );
    tokio::spawn(
        server::builder()
            .add_service(TransferServer::new(slow))
            .serve_with_incoming(incoming.unwrap()),
    );
    world.url = world.serve(&target);

    let path = format!("{ROOT}/storeorphans/{id}");
    let (code, message) = world
        .ask(ADMIN, Method::DELETE, &path, "")
        .await
        .unwrap_err();
    assert_eq!(code, 409, "{message}");
    assert!(
        message.contains("it is that of Store `hello-default`"),
        "{message}"
    );
    assert!(
        message.contains("a part of the data is removed"),
        "{message}"
    );
    assert_eq!(purges.load(Ordering::Relaxed), 1);
    let [(reason, note, _)] = &world.events(1).await[..] else {
        panic!("one Event");
    };
    assert_eq!(reason, "Purged");
    assert!(note.ends_with("removed a part of the data"), "{note}");
}
