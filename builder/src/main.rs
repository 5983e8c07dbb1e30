//! `shoal-builder`: pulls, inspects, compiles, signs, keeps and serves code.

mod flags;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use clap::Parser as _;
use futures::{FutureExt as _, future::BoxFuture};
use shoal_builder::{BuilderHandle, serve};
use shoal_protocol::{Grants, enrolment, log, server, shutdown};
use tokio::{net::TcpListener, sync::oneshot};

use flags::Flags;

/// A compile that takes longer is begun again by the next process.
const DRAIN: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    // Before anything else: this program runs itself again to compile.
    if let Some(code) = shoal_builder::compile_child() {
        return code;
    }
    let flags = Flags::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    log::start(flags.log.log);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error)),
    };
    match runtime.block_on(run(flags)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    tracing::error!("{error:#}");
    ExitCode::FAILURE
}

async fn run(flags: Flags) -> Result<()> {
    let signal = shutdown::signalled().context("signal handlers cannot be set")?;
    if let Some(socket) = &flags.local_socket {
        let builder = BuilderHandle::open(flags.options(true, Arc::new(|_| false)))?;
        let ended = async {
            tokio::select! {
                () = signal => {}
                () = parent_gone() => tracing::info!("the parent is gone: ending"),
            }
        };
        return until(ended, |stop| serve::serve_local(builder, socket, stop)).await;
    }
    let grants = Grants::load(&flags.data_dir.join("grants"));
    let granted = grants.clone();
    let protection = Arc::new(move |digest: &str| granted.table().grants_digest(digest));
    let builder = BuilderHandle::open(flags.options(false, protection))?;
    let health = TcpListener::bind(flags.metrics_address.0)
        .await
        .with_context(|| format!("--metrics-address {}", flags.metrics_address.0))?;
    let identity = enrolment::start(&flags.identity).await?;
    let listener = server::Listener::bind(flags.listen_address.0)?;
    tracing::info!(address = %listener.local_addr()?, "serving");
    tokio::spawn(
        grants
            .clone()
            .follow(flags.identity.operator.clone(), identity.clone()),
    );
    let usable = identity.clone();
    let health = serve::serve_health(builder.clone(), health, move || usable.is_usable());
    let served = until(signal, |stop| {
        serve::serve_cluster(builder, grants, &identity, listener, stop)
    });
    tokio::select! {
        served = served => served,
        failed = health => failed.context("the health server failed"),
    }
}

/// Serves until `ended`, then lets what is under way end, for a while.
async fn until<F>(ended: impl Future<Output = ()>, serve: impl FnOnce(Stop) -> F) -> Result<()>
where
    F: Future<Output = Result<(), serve::ServeError>>,
{
    let (stop, stopped) = oneshot::channel();
    let server = serve(Box::pin(stopped.map(drop)));
    tokio::pin!(server);
    tokio::select! {
        served = &mut server => return Ok(served?),
        () = ended => {}
    }
    let _ = stop.send(());
    match tokio::time::timeout(DRAIN, server).await {
        Ok(served) => Ok(served?),
        Err(_) => {
            tracing::warn!("some calls did not end within {DRAIN:?}");
            Ok(())
        }
    }
}

/// Completes when the server is to stop.
type Stop = BoxFuture<'static, ()>;

/// Completes when the process that started this one has ended.
async fn parent_gone() {
    let parent = nix::unistd::getppid();
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(500));
    while nix::unistd::getppid() == parent {
        tick.tick().await;
    }
}
