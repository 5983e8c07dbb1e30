//! Parts of a cluster within the test's process: an operator that signs and grants, and waiting for things.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use shoal_protocol::{
    CertificateAuthority, ClientAuth, Identity, LiveIdentity, Role, Trust,
    flags::IdentityFlags,
    server::{self, Listener, peer, require},
    v1::{
        GrantSet, SignRequest, SignResponse, WatchGrantsRequest,
        certificates_server::{Certificates, CertificatesServer},
        grants_server::{self, GrantsServer},
    },
};
use tokio::sync::watch;
use tokio_stream::{StreamExt, wrappers::WatchStream};
use tonic::{Request, Response, Status};

pub const NODE: &str = "node1";
pub const POD: &str = "11111111-2222-3333-4444-555555555555";

/// Waits until `condition` holds; fails the test after three minutes.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..18_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never came true: {what}");
}

pub fn runtime_identity() -> Identity {
    Identity::new(Role::Runtime, "default", NODE, POD).unwrap()
}

/// A part with a certificate of `ca`.
pub fn part(ca: &CertificateAuthority, identity: &Identity) -> LiveIdentity {
    let live = LiveIdentity::new(Trust::from_pem(ca.certificate_pem()).unwrap());
    let issued = ca.issue(identity).unwrap();
    live.set_certificate(&issued.certificate_chain, &issued.key)
        .unwrap();
    live
}

/// What the operator of a test does, and what it saw.
pub struct Operator {
    pub ca: Mutex<Arc<CertificateAuthority>>,
    pub token: Mutex<String>,
    pub life: Mutex<Duration>,
    /// Whom it signs certificates for.
    pub identity: Mutex<Identity>,
    pub signed: Mutex<u32>,
    pub callers: Mutex<Vec<Option<Identity>>>,
    pub grants: watch::Sender<GrantSet>,
}

impl Operator {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            ca: Mutex::new(Arc::new(CertificateAuthority::generate().unwrap())),
            token: Mutex::new("good".to_owned()),
            life: Mutex::new(Duration::from_secs(3600)),
            identity: Mutex::new(runtime_identity()),
            signed: Mutex::new(0),
            callers: Mutex::new(Vec::new()),
            grants: watch::Sender::new(GrantSet::default()),
        })
    }

    pub fn authority(&self) -> Arc<CertificateAuthority> {
        self.ca.lock().unwrap().clone()
    }

    pub fn own_identity(&self) -> LiveIdentity {
        part(
            &self.authority(),
            &Identity::new(Role::Operator, "", NODE, POD).unwrap(),
        )
    }

    /// Serves on a free port of 127.0.0.1 until the result is dropped.
    pub fn serve(self: &Arc<Self>) -> Serving {
        self.serve_at("127.0.0.1:0".parse().unwrap(), &self.own_identity())
    }

    pub fn serve_at(self: &Arc<Self>, address: SocketAddr, identity: &LiveIdentity) -> Serving {
        let listener = Listener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = listener.incoming(identity, ClientAuth::Optional).unwrap();
        let router = server::builder()
            .add_service(CertificatesServer::from_arc(self.clone()))
            .add_service(GrantsServer::from_arc(self.clone()));
        let task = tokio::spawn(async move {
            router.serve_with_incoming(incoming).await.unwrap();
        });
        Serving { address, task }
    }
}

pub struct Serving {
    pub address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tonic::async_trait]
impl Certificates for Operator {
    async fn sign(&self, request: Request<SignRequest>) -> Result<Response<SignResponse>, Status> {
        self.callers
            .lock()
            .unwrap()
            .push(peer(&request).ok().cloned());
        let request = request.into_inner();
        if request.token != *self.token.lock().unwrap() {
            return Err(Status::unauthenticated("the token is not accepted"));
        }
        let (ca, life) = (self.authority(), *self.life.lock().unwrap());
        let identity = self.identity.lock().unwrap().clone();
        let chain = ca
            .sign_for(&request.csr, &identity, life)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        *self.signed.lock().unwrap() += 1;
        let bundle = ca.certificate_pem().to_owned();
        Ok(Response::new(SignResponse {
            certificate_chain: chain,
            bundle,
        }))
    }
}

#[tonic::async_trait]
impl grants_server::Grants for Operator {
    type WatchStream =
        std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<GrantSet, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<WatchGrantsRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        require(&request, &[Role::Builder, Role::Store])?;
        let sets = WatchStream::new(self.grants.subscribe());
        Ok(Response::new(Box::pin(sets.map(Ok))))
    }
}

/// Flags of a part whose files are all in `folder`.
pub fn flags(folder: &Path, operator: SocketAddr) -> IdentityFlags {
    IdentityFlags {
        operator: operator.to_string(),
        token_file: folder.join("token"),
        ca_file: folder.join("ca.crt"),
        identity_dir: folder.join("identity"),
    }
}
