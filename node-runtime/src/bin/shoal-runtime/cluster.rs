//! In a cluster: assignments from the operator, code from the builder, stores of `shoal-store`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use shoal_protocol::{LiveIdentity, Role, client, enrolment, shutdown};
use shoal_runtime::{
    Node, NodeConfig, RemoteCode, StoreClasses,
    control::{Control, ControlConfig, Patience},
    health,
};
use shoal_stores::{Remote, RemoteBlobs, RemoteSql};
use tokio::net::TcpListener;

use crate::flags::Flags;

pub async fn run(flags: Flags) -> Result<()> {
    let signal = shutdown::signalled().context("signal handlers cannot be set")?;
    let health = TcpListener::bind(flags.metrics_address.0)
        .await
        .with_context(|| format!("--metrics-address {}", flags.metrics_address.0))?;
    let identity = enrolment::start(&flags.identity).await?;
    let builder = client::channel(&flags.builder, Role::Builder, &identity)
        .with_context(|| format!("--builder {}", flags.builder))?;
    let stores =
        stores(&flags.store, &identity).with_context(|| format!("--store {}", flags.store))?;
    let config = NodeConfig {
        instance_slots: flags.instances,
        ..NodeConfig::new(flags.state.clone()).context("no thread for output")?
    };
    let node = Node::start(config, Arc::new(RemoteCode::new(builder)), stores)?;
    let control = ControlConfig {
        operator: flags.identity.operator.clone(),
        pod_ips: flags.pod_ips.clone(),
        // In memory: assignments hold values of Secrets, and classes credentials.
        state_dir: flags.identity.identity_dir.clone(),
        secrets_dir: flags.identity.identity_dir.clone(),
        patience: Patience::default(),
    };
    let control = Arc::new(Control::start(control, node.clone(), identity.clone()));
    let ready = readiness(Arc::clone(&control), identity);
    // It answers until the end, also while the pod is drained.
    let health = tokio::spawn(health::serve(health, node.clone(), ready));
    tokio::select! {
        failed = health => failed.context("the health server failed")??,
        () = signal => {}
    }
    control
        .drain(Duration::from_secs(flags.drain_timeout))
        .await;
    node.shutdown(Duration::from_secs(flags.shutdown_timeout))
        .await;
    Ok(())
}

/// The classes of stores, as far as they are known without an operator: those of the store pod.
fn stores(target: &str, identity: &LiveIdentity) -> Result<Arc<StoreClasses>> {
    let embedded = Remote::new(target, identity)?;
    let memory = embedded.in_memory();
    let sql = RemoteSql::new(target, identity)?;
    let blobs = RemoteBlobs::new(target, identity)?;
    Ok(StoreClasses::new(
        Arc::new(embedded),
        Arc::new(memory),
        Arc::new(sql),
        Arc::new(blobs),
    ))
}

/// Why the node is not ready. Once it was what it is to be, a rollout may go on to the next node,
/// whatever comes later.
fn readiness(
    control: Arc<Control>,
    identity: LiveIdentity,
) -> impl Fn() -> Option<&'static str> + Send + Sync {
    let settled = AtomicBool::new(false);
    move || {
        if !identity.is_usable() {
            return Some("there is no valid certificate yet");
        }
        if !settled.load(Ordering::Relaxed) && !control.is_settled() {
            return Some("the apps of this node are not all served (again) yet");
        }
        settled.store(true, Ordering::Relaxed);
        None
    }
}
