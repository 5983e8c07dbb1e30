//! Flags of `shoal-operator`.

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};
use jiff::SignedDuration;
use shoal_crds::ByteQuantity;
use shoal_protocol::flags::LogFlags;

/// The operator of Shoal: watches Apps, plans, writes, and streams assignments to the nodes' runtimes.
#[derive(Clone, Debug, Parser)]
#[command(version, about)]
pub struct Args {
    /// Address that metrics and health are served on.
    #[arg(long, default_value = "[::]:9090")]
    pub metrics_address: SocketAddr,

    /// Address that the other parts dial.
    #[arg(long, default_value = "[::]:9443")]
    pub grpc_address: SocketAddr,

    /// Namespace that Shoal is installed in.
    #[arg(long, env = "POD_NAMESPACE", default_value = shoal_crds::SYSTEM_NAMESPACE)]
    pub namespace: String,

    /// Name of this pod: it names this replica in the Lease and in Events.
    #[arg(long, env = "POD_NAME", default_value = "shoal-operator")]
    pub pod_name: String,

    /// Image of the runtimes' DaemonSet. Without it the operator makes none.
    #[arg(long, env = "SHOAL_IMAGE")]
    pub image: Option<String>,

    /// Memory limit of a runtime pod, as `512Mi` or `2Gi`.
    #[arg(long, default_value = "1Gi")]
    pub runtime_memory: ByteQuantity,

    /// Where the builder is dialled.
    #[arg(long, default_value = "shoal-builder.shoal-system.svc:9443")]
    pub builder: String,

    /// Where the store pod is dialled.
    #[arg(long, default_value = "shoal-store.shoal-system.svc:9443")]
    pub store: String,

    /// Address that the API server hands requests of `runtime.shoal.dev` on to.
    #[arg(long, default_value = "[::]:9444")]
    pub api_address: SocketAddr,

    /// How long the data of a deleted App is kept where its Store's `reclaimPolicy` is `Delete`, as `24h` or `30m`.
    #[arg(long, default_value = "24h", value_parser = grace)]
    pub store_delete_grace: SignedDuration,

    /// Whether what the embedded store keeps outlives its pod.
    #[arg(long, value_enum, default_value_t = EmbeddedStore::Persistent)]
    pub embedded_store: EmbeddedStore,

    /// How the log is written.
    #[command(flatten)]
    pub log: LogFlags,
}

/// What the embedded store keeps its data on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EmbeddedStore {
    /// A PersistentVolume. Without one no app is bound to it
    Persistent,
    /// A folder that goes with the pod, as in manifests/install-ephemeral.yaml
    Ephemeral,
}

fn grace(text: &str) -> Result<SignedDuration, String> {
    let duration: SignedDuration = text.parse().map_err(|error| format!("{error}"))?;
    if duration.is_negative() {
        return Err("it is less than nothing".to_owned());
    }
    Ok(duration)
}
