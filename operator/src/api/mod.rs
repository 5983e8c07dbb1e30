//! The aggregated API `runtime.shoal.dev`: exports and imports of Stores, and data whose Store is gone.
//!
//! The API server hands requests on to any replica and says who sends them; see `front`. Whether they may is
//! asked of the API server again (`access`), the data comes from the store pod (`store_pod`), and each
//! request that touched data is told in an Event (`audit`). Where no APIService leads here, nobody connects,
//! and nothing else is missed.
//!
//! The API server ends a request after a minute. So none of these takes longer: an export that is not at the
//! end by then says where it goes on.

mod access;
mod adopt;
mod audit;
mod bound;
mod connections;
mod discovery;
mod export;
mod failure;
mod front;
mod import;
mod lines;
mod orphans;
mod registration;
mod store_pod;
#[cfg(test)]
mod tests;
mod transfers;
mod user;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use shoal_protocol::{LiveIdentity, TlsError, server};
use tokio::sync::watch;

use crate::events::Events;
use crate::world::World;
use access::Access;
use audit::Audit;
use connections::{Connections, Peer};
use failure::Failure;
pub use front::Front;
pub use registration::Registration;
pub use store_pod::StorePod;
use transfers::Transfers;

/// Requests to the API server.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// What answers requests.
pub struct Api {
    client: kube::Client,
    world: Arc<World>,
    front: Arc<Front>,
    access: Access,
    audit: Audit,
    pod: StorePod,
    transfers: Transfers,
}

impl Api {
    /// Asks `client` for objects and for rights, `world` for classes, `pod` for data, and tells `events` what was done.
    pub fn new(
        (client, world): (kube::Client, Arc<World>),
        front: Arc<Front>,
        pod: StorePod,
        events: Events,
    ) -> Self {
        Self {
            access: Access::new(client.clone()),
            client,
            world,
            front,
            audit: Audit(events),
            pod,
            transfers: Transfers::default(),
        }
    }

    /// Serves on `listener`, with the certificate of `identity`, until `stop` says so.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub async fn serve(
        self,
        listener: server::Listener,
        identity: &LiveIdentity,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), TlsError> {
        let tls = identity.foreign_server_config(self.front.clone())?;
        let connections = Connections::accept(listener.into_tcp(), tls);
        let service = router(Arc::new(self)).into_make_service_with_connect_info::<Peer>();
        let serving = axum::serve(connections, service).with_graceful_shutdown(async move {
            let _ = stop.wait_for(|stop| *stop).await;
        });
        if let Err(error) = serving.await {
            tracing::error!(%error, "the aggregated API is no longer served");
        }
        Ok(())
    }
}

fn router(api: Arc<Api>) -> Router {
    let group = "/apis/runtime.shoal.dev/v1alpha1";
    let at = |path: &str| format!("{group}{path}");
    let of_store = |what: &str| at(&format!("/namespaces/{{namespace}}/stores/{{name}}/{what}"));
    Router::new()
        .route("/apis", get(discovery::groups))
        .route("/apis/runtime.shoal.dev", get(discovery::group))
        .route(group, get(discovery::resources))
        .route("/openapi/v2", get(discovery::openapi_v2))
        .route("/openapi/v3", get(discovery::openapi_v3))
        .route(&of_store("export"), get(export::export))
        .route(&of_store("import"), post(import::import))
        .route(&at("/storeorphans"), get(orphans::list))
        .route(
            &at("/storeorphans/{id}"),
            get(orphans::one).delete(orphans::purge),
        )
        .route(&at("/storeorphans/{id}/adopt"), post(adopt::adopt))
        .fallback(async || Failure::not_found("there is nothing at this path"))
        .layer(middleware::from_fn_with_state(api.clone(), authenticate))
        .with_state(api)
}

/// Lets the API server through, with the user that it names.
async fn authenticate(
    State(api): State<Arc<Api>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    match api.front.user(&peer.common_name, request.headers()) {
        Ok(user) => {
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        Err(failure) => failure.into_response(),
    }
}

async fn timely<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    let answer = tokio::time::timeout(REQUEST_TIMEOUT, request).await;
    let answer =
        answer.map_err(|_| Failure::unavailable("the API server did not answer in time"))?;
    answer.map_err(|error| Failure::of_kube(&error))
}
