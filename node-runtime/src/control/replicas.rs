//! A stream to every replica of the operator, as they come and go.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use shoal_protocol::{LiveIdentity, Replicas, v1};
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
    time::sleep,
};

use super::{Received, stream};
use crate::{Node, node::Backoff};

/// A stream that lived for so long worked: its end is no failure to connect.
const WORKED: Duration = Duration::from_secs(10);

/// What a stream needs.
pub(super) struct Replica {
    pub(super) hello: v1::Hello,
    pub(super) identity: LiveIdentity,
    pub(super) node: Node,
    pub(super) draining: watch::Receiver<bool>,
    pub(super) inbox: mpsc::Sender<Received>,
}

/// Keeps a stream to each replica behind `operator`.
pub(super) async fn follow(operator: String, replica: Arc<Replica>) {
    replica.identity.ready().await;
    let mut replicas = Replicas::new(&operator);
    let mut streams: HashMap<SocketAddr, AbortHandle> = HashMap::new();
    let mut number = 0_u64;
    loop {
        let change = replicas.changed().await;
        for address in change.removed {
            if let Some(stream) = streams.remove(&address) {
                stream.abort();
            }
        }
        for address in change.added {
            number = number.saturating_add(1);
            let keep = keep_stream(address, number, Arc::clone(&replica));
            streams.insert(address, tokio::spawn(keep).abort_handle());
        }
    }
}

async fn keep_stream(address: SocketAddr, number: u64, replica: Arc<Replica>) {
    let mut backoff = Backoff::default();
    loop {
        let began = tokio::time::Instant::now();
        let ended = stream::run(address, number, &replica).await;
        if began.elapsed() >= WORKED {
            backoff.reset();
        }
        // An operator that is back is found quickly, however long it was away.
        let pause = backoff.next().min(Duration::from_secs(2));
        match ended {
            Ok(()) => tracing::info!(%address, "the operator closed the control stream"),
            Err(error) => tracing::warn!(%address, %error, "no control stream to this operator"),
        }
        sleep(pause).await;
    }
}
