//! The control stream: assignments from the leading operator, reports to every replica.
//!
//! What was obeyed last is kept in a file, and served at once by the next process, whoever is away.

mod desired;
mod epochs;
mod kept;
mod kept_classes;
mod replicas;
mod settling;
mod stream;
mod wire;

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use shoal_crds::Reason;
use shoal_protocol::{LiveIdentity, v1};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};

pub use self::settling::Patience;
use self::{
    desired::Desired, epochs::Epochs, kept::Kept, kept_classes::KeptClasses, replicas::Replica,
    settling::Settling,
};
use crate::{Node, assignment::AppRef, stores::ClassDescription};

/// How a node finds its operator, and what it says of itself.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// `host:port` of the operator's replicas.
    pub operator: String,
    /// The pod's addresses, at most one of each family.
    pub pod_ips: Vec<IpAddr>,
    /// Folder of the last assignments that were obeyed; in memory, because values of Secrets are in them.
    pub state_dir: PathBuf,
    /// Folder in memory of the last classes of stores that were obeyed, with their credentials.
    pub secrets_dir: PathBuf,
    /// How long it may take until the node is what it is to be.
    pub patience: Patience,
}

/// Messages of all replicas that wait to be looked at.
const INBOX: usize = 64;

/// The node's side of the control streams.
pub struct Control {
    draining: watch::Sender<bool>,
    drained: watch::Receiver<bool>,
    settling: Arc<Settling>,
    node: Node,
}

impl Control {
    /// Serves what was obeyed last, then follows the operator's replicas.
    pub fn start(config: ControlConfig, node: Node, identity: LiveIdentity) -> Self {
        let settling = Arc::new(Settling::new(config.patience));
        let (kept_classes, classes) = KeptClasses::open(&config.secrets_dir);
        if let Some(classes) = classes {
            node.stores().replace(described(classes));
        }
        let (kept, desired) = Kept::open(&config.state_dir);
        if let Some(desired) = &desired {
            let assignments = desired.all();
            let apps = assignments.apps();
            node.apply(assignments);
            settling.told(apps, true, Instant::now().into_std());
        }
        let (enrolled, asking) = (identity.clone(), Arc::clone(&settling));
        tokio::spawn(async move {
            enrolled.ready().await;
            asking.ask(Instant::now().into_std());
        });
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
            desired: desired.unwrap_or_default(),
            settling: Arc::clone(&settling),
            epochs: Epochs::default(),
            kept,
            kept_classes,
            drained,
        };
        tokio::spawn(obedience.run(messages));
        Self {
            draining,
            drained: drained_receiver,
            settling,
            node,
        }
    }

    /// Whether all that the node was to run when it started (as kept from before, else as an operator
    /// says) serves, or failed for a reason that is told; or was waited for long enough.
    pub fn is_settled(&self) -> bool {
        let settled = |app: &AppRef| match self.node.report(app) {
            Some(report) => report.reason != Some(Reason::Fetching),
            // The operator took it away meanwhile.
            None => true,
        };
        self.settling.is_over(Instant::now().into_std(), settled)
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
    settling: Arc<Settling>,
    epochs: Epochs,
    kept: Kept,
    kept_classes: KeptClasses,
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
                    // Only after it is applied: what has no report is no longer wanted.
                    let (apps, full) = (changes.apps(), changes.full);
                    self.node.apply(changes);
                    let now = Instant::now().into_std();
                    self.settling.told(apps, full, now);
                    self.kept.write(&self.desired);
                }
                Some(v1::to_runtime::Message::Assignments(_)) => {
                    let epoch = message.epoch;
                    tracing::warn!(epoch, "assignments of an operator that no longer leads");
                }
                Some(v1::to_runtime::Message::StoreClasses(classes)) if obeyed => {
                    let classes = self.kept_classes.write(classes);
                    self.node.stores().replace(described(classes));
                }
                Some(v1::to_runtime::Message::StoreClasses(_)) => {
                    let epoch = message.epoch;
                    tracing::warn!(
                        epoch,
                        "classes of stores of an operator that no longer leads"
                    );
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

fn described(message: v1::StoreClasses) -> Vec<ClassDescription> {
    message.classes.into_iter().map(Into::into).collect()
}
