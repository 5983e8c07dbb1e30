//! The control stream: assignments from the leading operator, reports to every replica.
//!
//! What was obeyed last is kept in a file, and served at once by the next process, whoever is away.

mod desired;
mod epochs;
mod kept;
mod replicas;
mod stream;
mod wire;

use std::{collections::BTreeSet, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use shoal_crds::Reason;
use shoal_protocol::{LiveIdentity, v1};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};

use self::{desired::Desired, epochs::Epochs, kept::Kept, replicas::Replica};
use crate::{Node, assignment::AppRef};

/// How a node finds its operator, and what it says of itself.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// `host:port` of the operator's replicas.
    pub operator: String,
    /// The pod's addresses, at most one of each family.
    pub pod_ips: Vec<IpAddr>,
    /// Folder of the last assignments that were obeyed.
    pub state_dir: PathBuf,
}

/// Messages of all replicas that wait to be looked at.
const INBOX: usize = 64;

/// The node's side of the control streams.
pub struct Control {
    draining: watch::Sender<bool>,
    drained: watch::Receiver<bool>,
    initial: BTreeSet<AppRef>,
    node: Node,
}

impl Control {
    /// Serves what was obeyed last, then follows the operator's replicas.
    pub fn start(config: ControlConfig, node: Node, identity: LiveIdentity) -> Self {
        let (kept, desired) = Kept::open(&config.state_dir);
        let assignments = desired.all();
        let initial = assignments
            .set
            .iter()
            .flatten()
            .map(|a| a.app.clone())
            .collect();
        node.apply(assignments);
        let draining = watch::Sender::new(false);
        let (drained, drained_receiver) = watch::channel(false);
        let (inbox, messages) = mpsc::channel(INBOX);
        let hello = v1::Hello {
            protocol_version: shoal_protocol::PROTOCOL_VERSION,
            engine_key: node.engine_key().to_string(),
            pod_ips: config.pod_ips.iter().map(IpAddr::to_string).collect(),
            version: env!("CARGO_PKG_VERSION").into(),
        };
        let replica = Replica {
            hello,
            identity,
            node: node.clone(),
            draining: draining.subscribe(),
            inbox,
        };
        tokio::spawn(replicas::follow(config.operator, Arc::new(replica)));
        let obedience = Obedience {
            node: node.clone(),
            desired,
            epochs: Epochs::default(),
            kept,
            drained,
        };
        tokio::spawn(obedience.run(messages));
        Self {
            draining,
            drained: drained_receiver,
            initial,
            node,
        }
    }

    /// Whether all that was kept from before serves again, or failed for a reason that is told.
    pub fn is_restored(&self) -> bool {
        let settled = |app: &AppRef| match self.node.report(app) {
            Some(report) => report.reason != Some(Reason::Fetching),
            // The operator took it away meanwhile.
            None => true,
        };
        self.initial.iter().all(settled)
    }

    /// Asks that this pod's endpoints leave the Services, and serves on until they have, for at
    /// most `patience`.
    pub async fn drain(&self, patience: Duration) {
        self.draining.send_replace(true);
        let mut drained = self.drained.clone();
        let waited = timeout(patience, drained.wait_for(|drained| *drained))
            .await
            .is_ok();
        match waited {
            true => tracing::info!("no endpoint names this pod any more"),
            false => tracing::warn!("no operator said that this pod's endpoints are gone; ending"),
        }
    }
}

/// What one replica sent.
struct Received {
    /// Which stream it came on.
    stream: u64,
    message: v1::ToRuntime,
}

/// Decides what is obeyed.
struct Obedience {
    node: Node,
    desired: Desired,
    epochs: Epochs,
    kept: Kept,
    drained: watch::Sender<bool>,
}

impl Obedience {
    async fn run(mut self, mut messages: mpsc::Receiver<Received>) {
        while let Some(received) = messages.recv().await {
            let Received { stream, message } = received;
            let obeyed = self
                .epochs
                .obey(stream, message.epoch, Instant::now().into_std());
            match message.message {
                Some(v1::to_runtime::Message::Assignments(assignments)) if obeyed => {
                    let changes = self.desired.apply(assignments);
                    self.node.apply(changes);
                    self.kept.write(&self.desired);
                }
                Some(v1::to_runtime::Message::Assignments(_)) => {
                    let epoch = message.epoch;
                    tracing::warn!(epoch, "assignments of an operator that no longer leads");
                }
                Some(v1::to_runtime::Message::Drained(_)) if obeyed => {
                    self.drained.send_replace(true);
                }
                // Others concern the stream alone, or are of a later version.
                _ => {}
            }
        }
    }
}
