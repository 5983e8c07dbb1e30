//! An operator that serves the aggregated API, and who asks it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{Method, Request};
use k8s_openapi::api::core::v1::Namespace;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use shoal_protocol::server::Listener;
use shoal_protocol::{LiveIdentity, Role};
use shoal_stores::{KeyValue as _, StoreId, StoreLimits};
use tokio::sync::watch;

use super::super::{Api, Front, StorePod};
use super::api_server::{ADMIN, ApiServer};
use super::export;
use crate::events::{self, Events};
use crate::housekeeping::tests::{Parts, identity, store, until};

pub(super) const FRONT: &str = "front-proxy-client";

/// The authority of the API server as a proxy.
pub(super) struct FrontAuthority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl FrontAuthority {
    pub(super) fn new() -> Self {
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// Certificate and key, PEM.
    pub(super) fn client(&self, name: &str) -> (String, String) {
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

pub(super) struct World {
    pub(super) parts: Parts,
    pub(super) server: Arc<ApiServer>,
    pub(super) authority: FrontAuthority,
    pub(super) front: Arc<Front>,
    pub(super) url: String,
    client: kube::Client,
    events: Events,
    version: AtomicU64,
    /// Dropped, it ends what is served.
    stop: watch::Sender<bool>,
}

impl World {
    pub(super) async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let parts = Parts::start(&[]);
        parts.lead(1);
        let server = Arc::new(ApiServer::default());
        let client = server.start().await;
        let (events, told) = Events::new();
        tokio::spawn(events::publish(client.clone(), "operator".to_owned(), told));
        let mut world = Self {
            parts,
            server,
            authority: FrontAuthority::new(),
            front: Arc::default(),
            url: String::new(),
            client,
            events,
            version: AtomicU64::default(),
            stop: watch::channel(false).0,
        };
        world.trust(&world.authority);
        for name in ["shop", "bank"] {
            world.namespace(name, &json!({}));
        }
        world.url = world.serve(&world.parts.store);
        world.until_the_pod_knows_its_classes().await;
        world
    }

    /// This is the authority of the API server from now on.
    pub(super) fn trust(&self, authority: &FrontAuthority) {
        let text = |value: &str| value.to_owned();
        let settings = [
            (text("requestheader-client-ca-file"), authority.pem.clone()),
            (text("requestheader-allowed-names"), format!("[{FRONT:?}]")),
            (
                text("requestheader-username-headers"),
                text(r#"["X-Remote-User"]"#),
            ),
        ];
        self.front.set(&settings.into()).unwrap();
    }

    /// Serves what a store pod at `target` has; gives where.
    pub(super) fn serve(&self, target: &str) -> String {
        let operator: LiveIdentity = identity(&self.parts.ca, Role::Operator);
        let pod = StorePod::new(target, &operator).unwrap();
        let known = (self.client.clone(), self.parts.world.clone());
        let api = Api::new(known, self.front.clone(), pod, self.events.clone());
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let stopping = self.stop.subscribe();
        tokio::spawn(async move { api.serve(listener, &operator, stopping).await });
        url
    }

    /// There is such a namespace, and these are its labels.
    pub(super) fn namespace(&self, name: &str, labels: &Value) {
        let version = self.version.fetch_add(1, Ordering::Relaxed).to_string();
        let namespace = json!({"metadata": {
            "name": name, "uid": name, "resourceVersion": version, "labels": labels,
        }});
        let namespace: Namespace = serde_json::from_value(namespace).unwrap();
        self.parts.world.change(|index| index.apply(namespace));
    }

    /// Data of an App `hello` in namespace `shop` that no Store has any more.
    pub(super) async fn orphan(&self) -> StoreId {
        let id = StoreId::random();
        self.fill(id, 2).await;
        let object = store(id, json!({"metadata": {"name": "lost", "uid": "lost"}}));
        let known = object.clone();
        self.parts.world.change(|index| index.apply(known));
        let is_orphan = async |wanted: bool| {
            self.parts.planned();
            let since = self.parts.orphan_since(id).await;
            since.is_some_and(|since| since.is_some() == wanted)
        };
        until("the Store is known", async || is_orphan(false).await).await;
        self.parts.world.change(|index| index.delete(&object));
        until("its data is orphaned", async || is_orphan(true).await).await;
        id
    }

    pub(super) async fn until_the_pod_knows_its_classes(&self) {
        let known = self.store("probe", StoreId::random());
        until("the store pod knows its classes", async || {
            self.ask(ADMIN, Method::GET, &export("probe"), "")
                .await
                .is_ok()
        })
        .await;
        self.events(1).await;
        self.server.stores.lock().retain(|store| *store != known);
        self.server.events.lock().clear();
    }

    /// A Store of namespace `shop`, of class `embedded`.
    pub(super) fn store(&self, name: &str, id: StoreId) -> Value {
        let object = store(id, json!({"metadata": {"name": name, "uid": name}}));
        let mut object = serde_json::to_value(object).unwrap();
        object["status"] = json!({"bound": true});
        self.server.stores.lock().push(object.clone());
        object
    }

    pub(super) async fn fill(&self, id: StoreId, keys: usize) {
        let pairs: Vec<_> = (0..keys)
            .map(|n| (format!("key-{n:05}"), format!("value {n}").into()))
            .collect();
        for pairs in pairs.chunks(1000) {
            let set = self
                .parts
                .embedded
                .set(id, pairs.to_vec(), StoreLimits::default());
            set.await.unwrap();
        }
    }

    pub(super) async fn keys(&self, id: StoreId) -> u64 {
        self.parts.embedded.usage(id).await.unwrap().keys
    }

    /// Asks as the API server asks for `user`.
    pub(super) async fn ask(
        &self,
        user: &str,
        method: Method,
        path: &str,
        body: &str,
    ) -> Result<String, (u16, String)> {
        let identity = self.authority.client(FRONT);
        self.ask_as(&identity, user, method, path, body).await
    }

    pub(super) async fn ask_as(
        &self,
        (certificate, key): &(String, String),
        user: &str,
        method: Method,
        path: &str,
        body: &str,
    ) -> Result<String, (u16, String)> {
        use base64::Engine as _;
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let mut config = kube::Config::new(self.url.parse().unwrap());
        let ca = self.parts.ca.certificate_pem();
        let (_, ca) = x509_parser::pem::parse_x509_pem(ca.as_bytes()).unwrap();
        config.root_cert = Some(vec![ca.contents]);
        config.tls_server_name = Some("shoal-api.shoal-system.svc".to_owned());
        config.auth_info.client_certificate_data = Some(encode(certificate));
        config.auth_info.client_key_data = Some(encode(key).into());
        config.default_retry = false;
        let client = kube::Client::try_from(config).unwrap();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("X-Remote-User", user)
            .body(body.as_bytes().to_vec())
            .unwrap();
        match client.request_text(request).await {
            Ok(text) => Ok(text),
            Err(kube::Error::Api(status)) => Err((status.code, status.message.clone())),
            Err(error) => Err((0, error.to_string())),
        }
    }

    /// Waits for as many Events, and gives their reasons, notes and objects.
    pub(super) async fn events(&self, count: usize) -> Vec<(String, String, String)> {
        until("the Events are written", async || {
            self.server.events.lock().len() >= count
        })
        .await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let events = self.server.events.lock();
        let told = events.iter().map(|event| {
            (
                text(&event["reason"]),
                text(&event["note"]),
                text(&event["regarding"]["name"]),
            )
        });
        told.collect()
    }
}
