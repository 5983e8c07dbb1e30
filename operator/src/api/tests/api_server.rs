//! As much of an API server as the aggregated API asks: rights, Stores, Events.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// User that may do everything; any other may export from and import into namespace `shop`.
pub(super) const ADMIN: &str = "root";

#[derive(Default)]
pub(super) struct ApiServer {
    pub(super) stores: Mutex<Vec<Value>>,
    pub(super) events: Mutex<Vec<Value>>,
}

impl ApiServer {
    /// A client of one that runs for as long as the test does.
    pub(super) async fn start(self: &Arc<Self>) -> kube::Client {
        let router = Router::new()
            .route(
                "/apis/authorization.k8s.io/v1/subjectaccessreviews",
                post(review),
            )
            .route("/apis/shoal.dev/v1alpha1/stores", get(all))
            .route(
                "/apis/shoal.dev/v1alpha1/namespaces/{namespace}/stores",
                get(of_namespace).post(create),
            )
            .route(
                "/apis/shoal.dev/v1alpha1/namespaces/{namespace}/stores/{name}",
                get(one),
            )
            .route(
                "/apis/events.k8s.io/v1/namespaces/{namespace}/events",
                post(event),
            )
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        kube::Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap()
    }
}

type Server = State<Arc<ApiServer>>;

async fn review(Json(mut review): Json<Value>) -> (StatusCode, Json<Value>) {
    let attributes = &review["spec"]["resourceAttributes"];
    let deed = (
        attributes["verb"].as_str(),
        attributes["subresource"].as_str(),
    );
    let moves = [
        (Some("get"), Some("export")),
        (Some("create"), Some("import")),
    ];
    let in_shop = attributes["namespace"] == "shop"
        && attributes["group"] == "runtime.shoal.dev"
        && moves.contains(&deed);
    let allowed = review["spec"]["user"] == ADMIN || in_shop;
    review["status"] = json!({"allowed": allowed});
    (StatusCode::CREATED, Json(review))
}

fn list(items: Vec<Value>) -> Json<Value> {
    Json(json!({
        "apiVersion": "shoal.dev/v1alpha1", "kind": "StoreList", "metadata": {}, "items": items,
    }))
}

async fn all(State(server): Server) -> Json<Value> {
    list(server.stores.lock().clone())
}

async fn of_namespace(State(server): Server, Path(namespace): Path<String>) -> Json<Value> {
    let stores = server.stores.lock().clone().into_iter();
    list(
        stores
            .filter(|store| store["metadata"]["namespace"] == namespace)
            .collect(),
    )
}

async fn one(
    State(server): Server,
    Path((namespace, name)): Path<(String, String)>,
) -> (StatusCode, Json<Value>) {
    let stores = server.stores.lock().clone();
    let found = stores.into_iter().find(|store| {
        store["metadata"]["namespace"] == namespace && store["metadata"]["name"] == name
    });
    let message = format!("stores.shoal.dev \"{name}\" not found");
    found.map_or_else(
        || {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "reason": "NotFound", "code": 404, "message": message,
            });
            (StatusCode::NOT_FOUND, Json(status))
        },
        |store| (StatusCode::OK, Json(store)),
    )
}

async fn create(
    State(server): Server,
    Path(namespace): Path<String>,
    Json(mut store): Json<Value>,
) -> (StatusCode, Json<Value>) {
    store["metadata"]["namespace"] = namespace.into();
    store["metadata"]["uid"] = "made".into();
    server.stores.lock().push(store.clone());
    (StatusCode::CREATED, Json(store))
}

async fn event(State(server): Server, Json(event): Json<Value>) -> (StatusCode, Json<Value>) {
    server.events.lock().push(event.clone());
    (StatusCode::CREATED, Json(event))
}
