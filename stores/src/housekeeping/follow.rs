//! The streams to the operator's replicas.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use shoal_protocol::{
    LiveIdentity, Role, client,
    v1::{
        self, FromHousekeeper, ToHousekeeper, housekeeping_client::HousekeepingClient,
        to_housekeeper::Message,
    },
};
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{Duty, Housekeeping, Outbox, duties};
use crate::StoreId;

const RECONNECT: Duration = Duration::from_secs(1);
/// A replica that says what is outranked is asked again after this.
const OUTRANKED: Duration = Duration::from_secs(5);
/// Largest message: a list of Stores, or of classes with their authorities.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// Most Stores that are looked after; more than a cluster has objects of one kind.
const MAX_STORES: usize = 1_000_000;
/// Messages that may wait for a replica to read.
const WAITING: usize = 4;

impl Housekeeping {
    /// Speaks with one replica for as long as it is polled.
    pub(super) async fn converse(self: Arc<Self>, address: SocketAddr, identity: LiveIdentity) {
        let mut was_up = true;
        loop {
            let mut pause = RECONNECT;
            match self.once(address, &identity).await {
                Ok(Ended::Outranked) => pause = OUTRANKED,
                Ok(Ended::Closed(ended)) => {
                    was_up = true;
                    tracing::info!(%address, %ended, "the stream of housekeeping ended");
                }
                Err(error) if was_up => {
                    was_up = false;
                    tracing::warn!(%address, %error, "no stream of housekeeping");
                }
                Err(error) => tracing::debug!(%address, %error, "no stream of housekeeping"),
            }
            self.gone(address);
            sleep(pause).await;
        }
    }

    pub(super) fn gone(&self, address: SocketAddr) {
        self.precedence.lock().gone(address, Instant::now());
    }

    async fn once(&self, address: SocketAddr, identity: &LiveIdentity) -> Result<Ended, Failure> {
        let channel = client::connect(&address.to_string(), Role::Operator, identity).await?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let incoming = HousekeepingClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .connect(ReceiverStream::new(receiver))
            .await?
            .into_inner();
        let outbox = self.outboxes.open();
        let known: Vec<StoreId> = self.usages.lock().keys().copied().collect();
        outbox.usages(known);
        outbox.health();
        let ended = tokio::select! {
            ended = self.listen(address, incoming) => ended,
            () = self.speak(&outbox, &sender) => Ended::Closed(Status::ok("no longer read")),
        };
        Ok(ended)
    }

    async fn speak(&self, outbox: &Outbox, sender: &mpsc::Sender<FromHousekeeper>) {
        loop {
            let message = outbox.next(self).await;
            let message = FromHousekeeper {
                message: Some(message),
            };
            if sender.send(message).await.is_err() {
                return;
            }
        }
    }

    async fn listen(&self, address: SocketAddr, mut incoming: Streaming<ToHousekeeper>) -> Ended {
        let mut list = None;
        loop {
            let ToHousekeeper { epoch, message } = match incoming.message().await {
                Ok(Some(message)) => message,
                Ok(None) => return Ended::Closed(Status::ok("closed by the operator")),
                Err(status) => return Ended::Closed(status),
            };
            if !self.obeys(address, epoch) {
                return Ended::Outranked;
            }
            match message {
                Some(Message::StoreClasses(classes)) => {
                    self.classes.lock().replace(classes);
                    self.health_changed();
                }
                Some(Message::Duties(duties)) => self.take(duties, &mut list).await,
                Some(Message::Purge(purge)) => self.purge(purge),
                // Of a later version of the protocol.
                None => {}
            }
        }
    }

    fn obeys(&self, address: SocketAddr, epoch: u64) -> bool {
        let mut precedence = self.precedence.lock();
        let obeys = !precedence.outranks(epoch, Instant::now());
        if obeys && !precedence.is(address, epoch) {
            tracing::info!(%address, epoch, "housekeeping for another leader");
            // What is still to be removed is asked for again by this one.
            self.purges.clear();
        }
        if obeys {
            precedence.obey(address, epoch);
        }
        obeys
    }

    /// `list`: the complete list that is under way on this stream.
    async fn take(&self, message: v1::Duties, list: &mut Option<Vec<Duty>>) {
        let v1::Duties {
            begins,
            ends,
            set,
            removed,
        } = message;
        let set: Vec<Duty> = set.into_iter().filter_map(read).collect();
        if begins {
            *list = Some(Vec::new());
        }
        match list {
            Some(all) if all.len() + set.len() > MAX_STORES => {
                tracing::error!("more than {MAX_STORES} stores: the rest is not looked after");
            }
            Some(all) => all.extend(set),
            None => {
                let removed = removed.iter().filter_map(|id| id.parse().ok()).collect();
                self.changed(set, removed).await;
            }
        }
        if ends && let Some(all) = list.take() {
            let gone = self.duties.lock().replace(all.clone());
            self.forget(&gone);
            self.purges.withdraw(gone);
            self.catalog.clone().all(all).await;
        }
    }

    pub(super) async fn changed(&self, set: Vec<Duty>, removed: Vec<StoreId>) {
        {
            let mut duties = self.duties.lock();
            set.iter().cloned().for_each(|duty| duties.set(duty));
            removed.iter().for_each(|store| duties.remove(*store));
        }
        self.forget(&removed);
        // What still counts of these is asked for again, next.
        let told = set.iter().map(|duty| duty.store);
        self.purges.withdraw(told.chain(removed.iter().copied()));
        self.catalog.clone().change(set, removed).await;
    }

    fn forget(&self, stores: &[StoreId]) {
        let mut usages = self.usages.lock();
        for store in stores {
            usages.remove(store);
        }
    }

    pub(super) fn purge(&self, v1::Purge { store_id, class }: v1::Purge) {
        match store_id.parse() {
            Ok(store) => self.purges.add(store, duties::class(class)),
            Err(error) => {
                let error: crate::InvalidStoreId = error;
                tracing::error!(%error, "nothing is removed");
            }
        }
    }
}

fn read(message: v1::Duty) -> Option<Duty> {
    Duty::read(message)
        .inspect_err(|problem| tracing::error!(problem, "a store is not looked after"))
        .ok()
}

/// How a stream ended.
enum Ended {
    Closed(Status),
    /// The replica is no leader any more, and does not know yet.
    Outranked,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;
