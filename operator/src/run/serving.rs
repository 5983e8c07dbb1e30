//! What others connect to: the streams of the other parts, and the aggregated API.

use std::net::SocketAddr;
use std::sync::Arc;

use shoal_protocol::v1::certificates_server::CertificatesServer;
use shoal_protocol::v1::control_server::ControlServer;
use shoal_protocol::v1::grants_server::GrantsServer;
use shoal_protocol::v1::housekeeping_server::HousekeepingServer;
use shoal_protocol::{ClientAuth, server};
use tokio::task::JoinHandle;
use tracing::error;

use super::base::Base;
use crate::api::{Api, Front, StorePod};
use crate::args::Args;
use crate::certificates::CertificatesService;
use crate::housekeeping::{Housekeeping, HousekeepingService};
use crate::notices::Notices;
use crate::pods::Prover;
use crate::streams::control::ControlService;
use crate::streams::grants::{GrantBook, GrantsService};

/// Largest report: every port of a pool in use.
const REPORT_BYTES: usize = 16 * 1024 * 1024;
/// Largest list of what Stores hold, or of how classes fare.
const HOUSEKEEPING_BYTES: usize = 4 * 1024 * 1024;
const SIGN_BYTES: usize = 64 * 1024;

/// Serves builder, store pod and runtimes.
///
/// # Errors
/// The port is taken, or TLS cannot be set up.
pub(super) fn parts(
    base: &Base,
    address: SocketAddr,
    grants: &Arc<GrantBook>,
    housekeeping: &Arc<Housekeeping>,
) -> anyhow::Result<JoinHandle<Result<(), tonic::transport::Error>>> {
    let (ground, authority) = (&base.ground, &base.authority);
    let listener = server::Listener::bind(address)?;
    let incoming = listener.incoming(&authority.identity, ClientAuth::Optional)?;
    let prover = Prover::new(ground.client.clone(), ground.namespace.clone());
    let certificates = CertificatesServer::new(CertificatesService::new(authority.clone(), prover));
    let notices = Notices::new(
        ground.world.clone(),
        base.events.clone(),
        base.leadership.clone(),
    );
    let control = ControlService::new(base.hub.clone(), ground.world.clone(), notices);
    let serving = server::builder()
        .add_service(certificates.max_decoding_message_size(SIGN_BYTES))
        .add_service(ControlServer::new(control).max_decoding_message_size(REPORT_BYTES))
        .add_service(GrantsServer::new(GrantsService(grants.clone())))
        .add_service(
            HousekeepingServer::new(HousekeepingService(housekeeping.clone()))
                .max_decoding_message_size(HOUSEKEEPING_BYTES),
        )
        .serve_with_incoming_shutdown(incoming, ground.stopped());
    Ok(tokio::spawn(serving))
}

/// Serves the aggregated API to those that the result knows.
///
/// # Errors
/// The port is taken, or there is no way to the store pod.
pub(super) fn people(base: &Base, args: &Args) -> anyhow::Result<Arc<Front>> {
    let front = Arc::new(Front::default());
    let identity = base.authority.identity.clone();
    let store = StorePod::new(&args.store, &identity)?;
    let known = (base.ground.client.clone(), base.ground.world.clone());
    let api = Api::new(known, front.clone(), store, base.events.clone());
    let listener = server::Listener::bind(args.api_address)?;
    let stopping = base.ground.stopping.clone();
    tokio::spawn(async move {
        if let Err(error) = api.serve(listener, &identity, stopping).await {
            error!(%error, "the aggregated API is not served");
        }
    });
    Ok(front)
}
