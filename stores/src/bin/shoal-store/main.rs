//! `shoal-store`: the embedded stores of a cluster and those in memory, for its runtimes.

mod copies;
mod health;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Parser;
use shoal_protocol::{
    ClientAuth, Grants, enrolment,
    flags::{IdentityFlags, LogFlags},
    log,
    server::{self, Listener},
    shutdown,
};
use shoal_stores::{
    Embedded, EmbeddedBlobs, EmbeddedSql, Memory, backup, blob,
    embedded::{Durability, EmbeddedOptions},
    housekeeping::{Housekeeping, TransferService},
    memory::MemoryOptions,
    server::{Admission, Backends, BlobsServer, Operations, Server, SqlServer},
};
use tokio::sync::watch;

use crate::health::Health;

/// Calls under way may take this long to end; their own deadline is 5 s.
const DRAIN: Duration = Duration::from_secs(8);

/// Serves key-value stores, kept in SQLite files or in memory, to the runtimes of a cluster
#[derive(Parser)]
#[command(name = "shoal-store", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<copies::Command>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(clap::Args)]
struct Flags {
    /// Folder of the stores; on a persistent volume
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/shoal")]
    data_dir: PathBuf,
    /// Most bytes that the stores of backend `memory` hold, all together
    #[arg(long, value_name = "BYTES", default_value_t = MemoryOptions::default().max_bytes)]
    memory_bytes: u64,
    /// Address of the gRPC service
    #[arg(long, value_name = "IP:PORT", default_value = "[::]:9443")]
    listen_address: SocketAddr,
    /// Address of /metrics, /healthz and /readyz; `:9090` means every address
    #[arg(long, value_name = "IP:PORT", default_value = "[::]:9090", value_parser = address)]
    metrics_address: SocketAddr,
    #[command(flatten)]
    identity: IdentityFlags,
    #[command(flatten)]
    log: LogFlags,
}

fn address(text: &str) -> Result<SocketAddr, std::net::AddrParseError> {
    match text.strip_prefix(':') {
        Some(port) => format!("[::]:{port}").parse(),
        None => text.parse(),
    }
}

fn main() -> ExitCode {
    let Arguments { command, flags } = Arguments::parse();
    if let Some(command) = command {
        return command.run();
    }
    log::start(flags.log.log);
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")
        .and_then(|runtime| runtime.block_on(run(flags)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> anyhow::Result<()> {
    let signalled = shutdown::signalled().context("cannot wait for signals")?;
    let identity = enrolment::start(&flags.identity).await?;
    backup::clean(&flags.data_dir);
    let stores = Arc::new(Embedded::open(
        &flags.data_dir.join("stores"),
        EmbeddedOptions::default(),
    )?);
    let databases = Arc::new(EmbeddedSql::open(
        &flags.data_dir.join("sql"),
        Durability::Full,
    )?);
    let objects = Arc::new(EmbeddedBlobs::open(
        &flags.data_dir.join(blob::embedded::FOLDER),
        Durability::Full,
    )?);
    let memory = Memory::new(MemoryOptions {
        max_bytes: flags.memory_bytes,
    });
    let backends = Backends {
        embedded: stores.clone(),
        memory: Arc::new(memory),
        blobs: objects.clone(),
        sql: databases.clone(),
    };
    let grants = Grants::load(&flags.data_dir.join("grants"));
    let operator = flags.identity.operator;
    tokio::spawn(grants.clone().follow(operator.clone(), identity.clone()));
    let housekeeping = Housekeeping::new(
        backends.clone(),
        grants.clone(),
        &flags.data_dir.join("catalog.db"),
    );
    tokio::spawn(housekeeping.clone().run(operator, identity.clone()));

    let admission = Admission::new(grants, housekeeping.clone());
    let operations = Arc::new(Operations::default());
    let health = Health::new(
        stores.clone(),
        databases.clone(),
        identity.clone(),
        operations.clone(),
        housekeeping.clone(),
    );
    let health_listener = health::bind(flags.metrics_address)?;
    tokio::spawn(health.clone().serve(health_listener));

    let listener = Listener::bind(flags.listen_address)?;
    tracing::info!(address = %listener.local_addr()?, "serving stores");
    let connections = listener.incoming(&identity, ClientAuth::Required)?;
    let (ending, ended) = watch::channel(false);
    let serving = server::builder()
        .add_service(Server::service(
            backends,
            admission.clone(),
            operations.clone(),
        ))
        .add_service(SqlServer::service(
            databases,
            admission.clone(),
            operations.clone(),
        ))
        .add_service(BlobsServer::service(objects, admission, operations))
        .add_service(TransferService::service(housekeeping))
        .serve_with_incoming_shutdown(connections, wait(ended));
    tokio::pin!(serving);

    tokio::select! {
        result = &mut serving => return result.context("the gRPC server failed"),
        () = signalled => {}
    }
    health.draining();
    ending.send_replace(true);
    if tokio::time::timeout(DRAIN, serving).await.is_err() {
        tracing::warn!("some calls did not end within {DRAIN:?}");
    }
    Ok(())
}

async fn wait(mut ended: watch::Receiver<bool>) {
    // It fails when the sender is gone, which is an end as well.
    let _ = ended.wait_for(|ended| *ended).await;
}
