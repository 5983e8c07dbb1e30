//! One stream to one replica of the operator.

use std::{net::SocketAddr, time::Duration};

use shoal_protocol::{
    Role, client,
    client::ConnectError,
    v1::{self, control_client::ControlClient, from_runtime, to_runtime},
};
use tokio::{
    sync::{broadcast, mpsc, watch},
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{Received, replicas::Replica, wire};
use crate::{
    report::ReportReader,
    stores::{ClassHealth, Notice},
};

const HEARTBEAT: Duration = Duration::from_secs(1);
/// Longest time until a replica answers the first message.
const WELCOME: Duration = Duration::from_secs(5);
/// Changes that come together travel together.
const GATHER: Duration = Duration::from_millis(10);
/// Largest message that is taken: all apps of a full node.
const MAX_MESSAGE: usize = 128 << 20;
/// Messages that wait for a replica that does not read; then the stream is given up.
const OUTBOX: usize = 16;
/// Longest time that a replica may not read.
const SEND: Duration = Duration::from_secs(5);

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{}: {}", .0.code().description(), .0.message())]
    Refused(#[from] Box<Status>),
    #[error("it did not answer within {} s", WELCOME.as_secs())]
    NoWelcome,
    #[error("it does not read what it is sent")]
    Stuck,
}

/// Runs until the stream ends; `Ok`: the replica closed it.
pub(super) async fn run(
    address: SocketAddr,
    number: u64,
    replica: &Replica,
) -> Result<(), StreamError> {
    let channel = client::connect(&address.to_string(), Role::Operator, &replica.identity).await?;
    let (sender, receiver) = mpsc::channel(OUTBOX);
    let mut outbox = Outbox {
        sender,
        reports: replica.node.reports(),
        health: replica.node.stores().health(),
        notices: replica.node.stores().notices(),
    };
    outbox
        .send(from_runtime::Message::Hello(replica.hello.clone()))
        .await?;
    outbox.report_all().await?;
    outbox.report_health().await?;
    let mut client = ControlClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
    let connecting = client.connect(ReceiverStream::new(receiver));
    let mut inbound = match timeout(WELCOME, connecting).await {
        Ok(connected) => connected.map_err(Box::new)?.into_inner(),
        Err(_) => return Err(StreamError::NoWelcome),
    };
    let first = timeout(WELCOME, inbound.message())
        .await
        .map_err(|_| StreamError::NoWelcome)?;
    let Some(first) = first.map_err(Box::new)? else {
        return Ok(());
    };
    match &first.message {
        Some(to_runtime::Message::Welcome(welcome)) => {
            tracing::info!(%address, epoch = first.epoch, leader = welcome.leader, "control stream");
        }
        _ => return Err(StreamError::NoWelcome),
    }
    deliver(replica, number, first).await;
    exchange(replica, number, outbox, inbound).await
}

async fn exchange(
    replica: &Replica,
    number: u64,
    mut outbox: Outbox,
    mut inbound: Streaming<v1::ToRuntime>,
) -> Result<(), StreamError> {
    let mut beats = interval(HEARTBEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut draining = replica.draining.clone();
    draining.mark_changed();
    loop {
        tokio::select! {
            received = inbound.message() => {
                let Some(message) = received.map_err(Box::new)? else { return Ok(()) };
                if let Some(to_runtime::Message::Resend(_)) = &message.message {
                    outbox.report_all().await?;
                }
                deliver(replica, number, message).await;
            }
            _ = beats.tick() => {
                outbox.send(from_runtime::Message::Heartbeat(v1::Heartbeat {})).await?;
            }
            is_draining = next(&mut draining) => if is_draining {
                outbox.send(from_runtime::Message::Draining(v1::Draining {})).await?;
            },
            changes = outbox.reports.changed() => {
                let first = wire::changes(changes);
                outbox.send(from_runtime::Message::Report(first)).await?;
                sleep(GATHER).await;
            }
            changed = outbox.health.changed() => {
                // Its sender is the node's, which is held here.
                if changed.is_ok() {
                    outbox.report_health().await?;
                    sleep(GATHER).await;
                }
            }
            notice = outbox.notices.recv() => {
                // Some may have been pushed out by others; nobody relies on them.
                if let Ok(notice) = notice {
                    outbox.send(from_runtime::Message::Notice(wire::notice(notice))).await?;
                }
            }
        }
    }
}

/// What draining has become; never again once nobody can drain.
async fn next(draining: &mut watch::Receiver<bool>) -> bool {
    if draining.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    *draining.borrow_and_update()
}

async fn deliver(replica: &Replica, stream: u64, message: v1::ToRuntime) {
    // Gone only with the process.
    let _ = replica.inbox.send(Received { stream, message }).await;
}

struct Outbox {
    sender: mpsc::Sender<v1::FromRuntime>,
    reports: ReportReader,
    health: watch::Receiver<ClassHealth>,
    notices: broadcast::Receiver<Notice>,
}

impl Outbox {
    async fn send(&self, message: from_runtime::Message) -> Result<(), StreamError> {
        let message = v1::FromRuntime {
            message: Some(message),
        };
        match timeout(SEND, self.sender.send(message)).await {
            // Closed: why, the other direction tells.
            Ok(_) => Ok(()),
            Err(_) => Err(StreamError::Stuck),
        }
    }

    async fn report_all(&mut self) -> Result<(), StreamError> {
        let all = wire::full(self.reports.all());
        self.send(from_runtime::Message::Report(all)).await
    }

    async fn report_health(&mut self) -> Result<(), StreamError> {
        let health = wire::health(&self.health.borrow_and_update());
        self.send(from_runtime::Message::StoreHealth(health)).await
    }
}
