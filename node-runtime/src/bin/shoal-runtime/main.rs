//! `shoal-runtime`: hosts the apps of a node.

mod cluster;
mod flags;
mod local;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use shoal_protocol::log;

use flags::Flags;

fn main() -> ExitCode {
    let flags = Flags::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    log::start(flags.log.log);
    match run(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: Flags) -> Result<()> {
    shoal_runtime::process::set_up();
    // Control, health and accepting, apart from the threads that guests run on.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("shoal-control")
        .enable_all()
        .build()
        .context("no threads")?;
    let ended = runtime.block_on(async {
        match flags.assignments.clone() {
            Some(file) => local::run(flags, file).await,
            None => cluster::run(flags).await,
        }
    });
    runtime.shutdown_background();
    ended
}
