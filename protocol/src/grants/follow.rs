//! Streams of grants from every replica of the operator.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};
use tonic::{Status, Streaming};

use super::{Grants, MAX_SET_BYTES};
use crate::{
    LiveIdentity, PROTOCOL_VERSION, Role, client,
    v1::{GrantSet, WatchGrantsRequest, grants_client::GrantsClient},
    with_each,
};

const RECONNECT: Duration = Duration::from_secs(1);
/// How often a set that was refused for its epoch is tried again.
const RETRY_REFUSED: Duration = Duration::from_secs(5);

impl Grants {
    /// Follows the grants that the operator's replicas send, for as long as it is polled.
    pub async fn follow(self: Arc<Self>, operator: String, identity: LiveIdentity) {
        identity.ready().await;
        let watches = with_each(
            &operator,
            |address| self.clone().watch_replica(address, identity.clone()),
            |address| self.gone(address),
        );
        tokio::select! {
            () = watches => {}
            () = self.clone().remember() => {}
        }
    }

    async fn watch_replica(self: Arc<Self>, address: SocketAddr, identity: LiveIdentity) {
        let mut was_up = true;
        loop {
            match open(address, &identity).await {
                Ok(stream) => {
                    was_up = true;
                    let ended = self.read(address, stream).await;
                    tracing::info!(%address, %ended, "the stream of grants ended");
                }
                Err(error) if was_up => {
                    was_up = false;
                    tracing::warn!(%address, %error, "no stream of grants");
                }
                Err(error) => tracing::debug!(%address, %error, "no stream of grants"),
            }
            self.gone(address);
            sleep(RECONNECT).await;
        }
    }

    async fn read(&self, address: SocketAddr, mut stream: Streaming<GrantSet>) -> Status {
        let mut refused = None;
        loop {
            let message = match refused.take() {
                None => stream.message().await,
                Some(set) => match timeout(RETRY_REFUSED, stream.message()).await {
                    Ok(message) => message,
                    Err(_) => Ok(Some(set)),
                },
            };
            match message {
                Ok(Some(set)) if self.outranks(set.epoch) => refused = Some(set),
                Ok(Some(set)) => self.take(Some(address), set),
                Ok(None) => return Status::ok("closed by the operator"),
                Err(status) => return status,
            }
        }
    }

    /// Writes the file whenever the grants change; of changes that come faster than the disk, the last.
    async fn remember(self: Arc<Self>) {
        let mut changes = self.changed.subscribe();
        while changes.changed().await.is_ok() {
            let this = self.clone();
            // It fails only when the process ends.
            let _ = tokio::task::spawn_blocking(move || this.save()).await;
        }
    }
}

async fn open(
    address: SocketAddr,
    identity: &LiveIdentity,
) -> Result<Streaming<GrantSet>, Box<dyn std::error::Error + Send + Sync>> {
    let channel = client::connect(&address.to_string(), Role::Operator, identity).await?;
    let mut grants = GrantsClient::new(channel).max_decoding_message_size(MAX_SET_BYTES);
    let request = WatchGrantsRequest {
        protocol_version: PROTOCOL_VERSION,
    };
    Ok(grants.watch(request).await?.into_inner())
}
