//! `shoal-builder`: pulls, inspects, compiles, signs, keeps and serves code.

mod flags;

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result};
use clap::Parser as _;
use shoal_builder::{BuilderHandle, serve};
use shoal_protocol::{Grants, enrolment, log, server, shutdown};
use tokio::net::TcpListener;

use flags::Flags;

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
        return Ok(serve::serve_local(builder, socket, ended).await?);
    }
    let grants = Grants::load(&flags.data_dir.join("grants"));
    let granted = grants.clone();
    let protection = Arc::new(move |digest: &str| granted.table().grants_digest(digest));
    let builder = BuilderHandle::open(flags.options(false, protection))?;
    let health = TcpListener::bind(flags.metrics_address.0)
        .await
        .with_context(|| format!("--metrics-address {}", flags.metrics_address.0))?;
    let identity = enrolment::start(&flags.identity).await?;
    let listener = server::Listener::bind(flags.listen.0)?;
    tokio::spawn(
        grants
            .clone()
            .follow(flags.identity.operator.clone(), identity.clone()),
    );
    let usable = identity.clone();
    let health = serve::serve_health(builder.clone(), health, move || usable.is_usable());
    let server = serve::serve_cluster(builder, grants, &identity, listener, signal);
    tokio::select! {
        served = server => served?,
        failed = health => failed.context("the health server failed")?,
    }
    Ok(())
}

/// Completes when the process that started this one has ended.
async fn parent_gone() {
    let parent = nix::unistd::getppid();
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(500));
    while nix::unistd::getppid() == parent {
        tick.tick().await;
    }
}
