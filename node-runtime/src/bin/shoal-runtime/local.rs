//! Without a cluster: a file of assignments, a builder of this machine, stores in this process.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use shoal_protocol::shutdown;
use shoal_runtime::{
    Node, NodeConfig, StoreClasses, health,
    local::{LocalBuilder, LocalConfig, follow},
};
use shoal_stores::{
    Embedded, EmbeddedBlobs, EmbeddedSql, Memory,
    embedded::{Durability, EmbeddedOptions},
    memory::MemoryOptions,
};
use tokio::net::TcpListener;

use crate::flags::Flags;

pub async fn run(flags: Flags, file: PathBuf) -> Result<()> {
    let signal = shutdown::signalled().context("signal handlers cannot be set")?;
    let state = flags.state.clone();
    std::fs::create_dir_all(&state).with_context(|| format!("--state {}", state.display()))?;
    let health = TcpListener::bind(flags.metrics_address.0)
        .await
        .with_context(|| format!("--metrics-address {}", flags.metrics_address.0))?;
    let embedded = Embedded::open(&state.join("stores"), EmbeddedOptions::default())?;
    let memory = Memory::new(MemoryOptions::default());
    let sql = EmbeddedSql::open(&state.join("sql"), Durability::Full)?;
    let blobs = EmbeddedBlobs::open(&state.join("blobs"), Durability::Full)?;
    let stores = StoreClasses::new(
        Arc::new(embedded),
        Arc::new(memory),
        Arc::new(sql),
        Arc::new(blobs),
    );
    let builder = LocalBuilder::start(&state.join("builder")).await?;
    let config = NodeConfig {
        instance_slots: flags.instances,
        ..NodeConfig::new(state.clone()).context("no thread for output")?
    };
    let node = Node::start(config, builder.clone(), stores)?;
    let local = LocalConfig {
        file,
        state_dir: state,
        listen_address: flags.listen_address,
    };
    let health = tokio::spawn(health::serve(health, node.clone(), || None));
    tokio::select! {
        failed = follow(local, node.clone(), builder) => failed.context("--state")?,
        failed = health => failed.context("the health server failed")??,
        () = signal => {}
    }
    node.shutdown(Duration::from_secs(flags.shutdown_timeout))
        .await;
    Ok(())
}
