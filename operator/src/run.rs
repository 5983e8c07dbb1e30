//! All the wiring.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use shoal_protocol::v1::certificates_server::CertificatesServer;
use shoal_protocol::v1::control_server::ControlServer;
use shoal_protocol::v1::grants_server::GrantsServer;
use shoal_protocol::v1::housekeeping_server::HousekeepingServer;
use shoal_protocol::{ClientAuth, server, shutdown};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::api::{Api, Front, Registration, StorePod};
use crate::args::{Args, EmbeddedStore};
use crate::builder_client::Builder;
use crate::ca::{self, Authority};
use crate::certificates::CertificatesService;
use crate::classes::{ClassBook, Keeper};
use crate::daemonset::{self, RuntimeSettings};
use crate::dispatch;
use crate::events::{self, Events};
use crate::health::{self, Health};
use crate::housekeeping::{Housekeeping, HousekeepingService};
use crate::lease::Elector;
use crate::metrics::Metrics;
use crate::notices::Notices;
use crate::planner::Planner;
use crate::pods::Prover;
use crate::ports::Ports;
use crate::streams::control::ControlService;
use crate::streams::grants::{GrantBook, GrantsService};
use crate::streams::hub::Hub;
use crate::values;
use crate::watch as watches;
use crate::world::World;
use crate::write::Writer;
use crate::write::execute::ApiServer;

/// Largest report: every port of a pool in use.
const REPORT_BYTES: usize = 16 * 1024 * 1024;
/// Largest list of what Stores hold, or of how classes fare.
const HOUSEKEEPING_BYTES: usize = 4 * 1024 * 1024;
const SIGN_BYTES: usize = 64 * 1024;
/// Writes that were begun have this long to end when the process is asked to.
const FLUSH: Duration = Duration::from_secs(4);

/// Runs the operator until it is asked to end.
///
/// # Errors
/// What keeps it from starting: no API server, a port that is taken, a broken certificate authority.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let signalled = shutdown::signalled()?;
    let client = client().await?;
    let (health, metrics) = (Arc::new(Health::default()), Arc::new(Metrics::default()));
    let world = Arc::new(World::new(Timestamp::now()));
    let (stop_all, stopping) = watch::channel(false);
    let (stop_lease, lease_stopping) = watch::channel(false);

    let admin = health::serve(
        args.metrics_address,
        health.clone(),
        metrics.clone(),
        stopping.clone(),
    );
    let admin = tokio::spawn(admin);
    let authority = authority(&client, &args.namespace, &health).await;

    let identity = format!("{}_{}", args.pod_name, uuid::Uuid::new_v4());
    let (elector, leadership) = Elector::new(client.clone(), &args.namespace, identity);
    let lease = tokio::spawn(elector.run(lease_stopping, beat(&health, "lease", 20)));

    let hub = Hub::new(world.clone(), metrics.clone());
    let (grants, classes) = (
        Arc::new(GrantBook::default()),
        Arc::new(ClassBook::default()),
    );
    world.with(|index| {
        index.set_store_delete_grace(args.store_delete_grace);
        index.set_store_ephemeral(args.embedded_store == EmbeddedStore::Ephemeral);
    });
    let housekeeping = Housekeeping::new(world.clone(), classes.clone());
    let (events, told) = Events::new();
    let listener = server::Listener::bind(args.grpc_address)?;
    let incoming = listener.incoming(&authority.identity, ClientAuth::Optional)?;
    let prover = Prover::new(client.clone(), args.namespace.clone());
    let certificates = CertificatesServer::new(CertificatesService::new(authority.clone(), prover));
    let control = ControlServer::new(ControlService::new(
        hub.clone(),
        world.clone(),
        Notices::new(world.clone(), events.clone(), leadership.clone()),
    ));
    let grpc = server::builder()
        .add_service(certificates.max_decoding_message_size(SIGN_BYTES))
        .add_service(control.max_decoding_message_size(REPORT_BYTES))
        .add_service(GrantsServer::new(GrantsService(grants.clone())))
        .add_service(
            HousekeepingServer::new(HousekeepingService(housekeeping.clone()))
                .max_decoding_message_size(HOUSEKEEPING_BYTES),
        )
        .serve_with_incoming_shutdown(incoming, stopped(stopping.clone()));
    let grpc = tokio::spawn(grpc);

    let front = Arc::new(Front::default());
    let store = StorePod::new(&args.store, &authority.identity)?;
    let api = Api::new(client.clone(), front.clone(), store, events.clone());
    let (listener, identity) = (
        server::Listener::bind(args.api_address)?,
        authority.identity.clone(),
    );
    let api_stopping = stopping.clone();
    tokio::spawn(async move {
        if let Err(error) = api.serve(listener, &identity, api_stopping).await {
            error!(%error, "the aggregated API is not served");
        }
    });

    let executor = ApiServer(client.clone());
    let writer = Writer::new(executor, world.clone(), leadership.clone(), metrics.clone());
    let keys_to = hub.clone();
    let builder = Builder::new(
        &args.builder,
        &authority.identity,
        client.clone(),
        world.clone(),
        move |keys| keys_to.set_code_keys(keys),
    )?;
    let (dispatch, dispatched) = mpsc::channel(dispatch::WAITING);
    let planner = Planner {
        world: world.clone(),
        hub: hub.clone(),
        grants: grants.clone(),
        classes: classes.clone(),
        housekeeping,
        writer: writer.clone(),
        builder: builder.clone(),
        events,
        leadership: leadership.clone(),
        ports: Ports::new(client.clone(), &args.namespace),
        dispatch,
        health: health.clone(),
        metrics: metrics.clone(),
    };
    let planning = tokio::spawn(planner.run(stopping.clone()));

    let mut background = tokio::task::JoinSet::new();
    let (c, n) = (client.clone(), args.namespace.clone());
    let (w, h) = (world.clone(), health.clone());
    background.spawn(async move { watches::all(c, &n, w, h).await });
    background.spawn(events::publish(client.clone(), args.pod_name.clone(), told));
    background.spawn(dispatch::run(
        dispatched,
        world.clone(),
        hub.clone(),
        grants.clone(),
        classes.clone(),
    ));
    let keeper = Keeper {
        client: client.clone(),
        namespace: args.namespace.clone(),
        world: world.clone(),
        hub: hub.clone(),
        leadership: leadership.clone(),
        book: classes,
    };
    background.spawn(keeper.run(beat(&health, "classes", 120)));
    let (one, beat_one) = (writer.clone(), beat(&health, "writer", 120));
    background.spawn(async move { one.run(beat_one).await });
    let (one, beat_one) = (hub.clone(), beat(&health, "streams", 15));
    background.spawn(async move { one.watch(beat_one).await });
    let (one, beat_one) = (builder.clone(), beat(&health, "builder", 60));
    background.spawn(async move { one.watch(beat_one).await });
    tokio::spawn(health::follow_reports(health.clone(), world.clone()));
    let reader = values::Reader::new(client.clone(), world.clone(), leadership.clone());
    background.spawn(reader.run(beat(&health, "values", 60)));
    background.spawn(front.follow(client.clone()));
    let registration = Registration {
        client: client.clone(),
        authority: authority.ca.clone(),
        leadership: leadership.clone(),
        metrics: metrics.clone(),
    };
    background.spawn(registration.keep());
    let one = authority.clone();
    background.spawn(async move { one.keep_certificate().await });
    let (one, c, n) = (authority.clone(), client.clone(), args.namespace.clone());
    let (l, m) = (leadership.clone(), metrics.clone());
    background.spawn(async move { one.keep_bundle(c, n, l, m).await });
    if let Some(image) = args.image {
        let settings = RuntimeSettings {
            image,
            memory: args.runtime_memory,
            namespace: args.namespace,
        };
        let (m, s) = (metrics.clone(), stopping.clone());
        background.spawn(daemonset::keep(
            client.clone(),
            settings,
            leadership.clone(),
            m,
            s,
        ));
    } else {
        warn!("no --image: runtimes are not deployed");
    }
    info!(version = env!("CARGO_PKG_VERSION"), "the operator runs");

    let ended = tokio::select! {
        () = signalled => None,
        ended = background.join_next() => Some(format!("{ended:?}")),
        ended = grpc => Some(format!("gRPC server: {ended:?}")),
        ended = admin => Some(format!("metrics server: {ended:?}")),
    };
    stop_all.send_replace(true);
    let _ = tokio::time::timeout(FLUSH, planning).await;
    flush(&writer).await;
    stop_lease.send_replace(true);
    let _ = tokio::time::timeout(FLUSH, lease).await;
    hub.close_all();
    match ended {
        None => Ok(()),
        Some(what) => {
            error!(what, "a part of the operator ended by itself");
            anyhow::bail!("a part of the operator ended by itself: {what}")
        }
    }
}

async fn client() -> anyhow::Result<kube::Client> {
    let mut config = kube::Config::infer()
        .await
        .context("no API server is known: neither a service account nor a kubeconfig was found")?;
    // The write queue has a budget, deadlines and retries of its own.
    config.default_retry = false;
    kube::Client::try_from(config).context("cannot make a client of the API server")
}

/// Tries until there is an authority: at first start the API server may still be busy with other things.
async fn authority(client: &kube::Client, namespace: &str, health: &Health) -> Authority {
    loop {
        health.alive("certificate authority", Duration::from_secs(60));
        match ca::open(client, namespace).await {
            Ok(authority) => {
                health.alive("certificate authority", Duration::MAX);
                return authority;
            }
            Err(error) => warn!(%error, "no certificate authority yet; trying again"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn beat(health: &Arc<Health>, name: &'static str, patience: u64) -> impl Fn() + Send + use<> {
    let health = health.clone();
    move || health.alive(name, Duration::from_secs(patience))
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn flush(writer: &Writer<ApiServer>) {
    let idle = async {
        while !writer.is_idle() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(FLUSH, idle).await.is_err() {
        warn!("writes that wait are left to the next leader");
    }
}
