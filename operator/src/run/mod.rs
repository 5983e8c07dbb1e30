//! All the wiring.

mod background;
mod base;
mod serving;

use std::sync::Arc;
use std::time::Duration;

use shoal_protocol::shutdown;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use self::background::Background;
use self::base::{Base, Ground};
use crate::args::Args;
use crate::builder_client::Builder;
use crate::classes::ClassBook;
use crate::dispatch;
use crate::events::Events;
use crate::health;
use crate::housekeeping::Housekeeping;
use crate::lease::{Elector, Leadership};
use crate::planner::Planner;
use crate::ports::Ports;
use crate::streams::grants::GrantBook;
use crate::streams::hub::Hub;
use crate::write::Writer;
use crate::write::execute::ApiServer;

/// Writes that were begun have this long to end when the process is asked to.
const FLUSH: Duration = Duration::from_secs(4);

/// Runs the operator until it is asked to end.
///
/// # Errors
/// What keeps it from starting: no API server, a port that is taken, a broken certificate authority.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let signalled = shutdown::signalled()?;
    let (stop_all, stopping) = watch::channel(false);
    let ground = Ground::new(&args, stopping).await?;
    let admin = tokio::spawn(health::serve(
        args.metrics_address,
        ground.health.clone(),
        ground.metrics.clone(),
        ground.stopping.clone(),
    ));
    let authority = ground.authority().await;
    let (leadership, lease) = elect(&ground, &args);
    let (events, told) = Events::new();
    let base = Base {
        authority,
        leadership,
        hub: Hub::new(ground.world.clone(), ground.metrics.clone()),
        events,
        ground,
    };

    let (grants, classes) = (Arc::<GrantBook>::default(), Arc::<ClassBook>::default());
    let housekeeping = Housekeeping::new(base.ground.world.clone(), classes.clone());
    let grpc = serving::parts(&base, args.grpc_address, &grants, &housekeeping)?;
    let front = serving::people(&base, &args)?;
    let (dispatch, dispatched) = mpsc::channel(dispatch::WAITING);
    let planner = planner(&base, &args, (&grants, &classes), housekeeping, dispatch)?;
    let (writer, builder) = (planner.writer.clone(), planner.builder.clone());
    let planning = tokio::spawn(planner.run(base.ground.stopping.clone()));

    let mut background = Background::of(&base);
    background.read(classes.clone());
    let told = (told, args.pod_name.clone());
    background.say(told, writer.clone(), dispatched, (grants, classes));
    background.listen(builder);
    background.vouch(front);
    background.deploy(args);
    let mut background = background.tasks();
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
    lease.end().await;
    base.hub.close_all();
    match ended {
        None => Ok(()),
        Some(what) => {
            error!(what, "a part of the operator ended by itself");
            anyhow::bail!("a part of the operator ended by itself: {what}")
        }
    }
}

/// This replica's part in the election. It ends last: what is written is written by the leader.
struct Lease {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Lease {
    /// Gives it back, if it is held.
    async fn end(self) {
        self.stop.send_replace(true);
        let _ = tokio::time::timeout(FLUSH, self.task).await;
    }
}

fn elect(ground: &Ground, args: &Args) -> (Leadership, Lease) {
    let (stop, stopping) = watch::channel(false);
    let identity = format!("{}_{}", args.pod_name, uuid::Uuid::new_v4());
    let client = ground.client.clone();
    let (elector, leadership) = Elector::new(client, &ground.namespace, identity);
    let task = tokio::spawn(elector.run(stopping, ground.beat("lease", 20)));
    (leadership, Lease { stop, task })
}

fn planner(
    base: &Base,
    args: &Args,
    (grants, classes): (&Arc<GrantBook>, &Arc<ClassBook>),
    housekeeping: Arc<Housekeeping>,
    dispatch: mpsc::Sender<dispatch::Dispatch>,
) -> anyhow::Result<Planner> {
    let Base {
        ground,
        authority,
        leadership,
        hub,
        events,
    } = base;
    let client = || ground.client.clone();
    let keys_to = hub.clone();
    let builder = Builder::new(
        &args.builder,
        &authority.identity,
        client(),
        ground.world.clone(),
        move |keys| keys_to.set_code_keys(keys),
    )?;
    let writer = Writer::new(
        ApiServer(client()),
        ground.world.clone(),
        leadership.clone(),
        ground.metrics.clone(),
    );
    Ok(Planner {
        world: ground.world.clone(),
        hub: hub.clone(),
        grants: grants.clone(),
        classes: classes.clone(),
        housekeeping,
        writer,
        builder,
        events: events.clone(),
        leadership: leadership.clone(),
        ports: Ports::new(client(), &ground.namespace),
        dispatch,
        health: ground.health.clone(),
        metrics: ground.metrics.clone(),
    })
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
