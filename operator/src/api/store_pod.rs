//! The store pod, which has the data.

use std::time::Duration;

use shoal_protocol::client::{self, ConnectError};
use shoal_protocol::v1::transfer_client::TransferClient;
use shoal_protocol::v1::{
    ListOrphansRequest, ListOrphansResponse, Orphan, Pair, PurgeOrphanRequest, ReadEntriesRequest,
    ReadEntriesResponse, WriteEntriesRequest,
};
use shoal_protocol::{LiveIdentity, Role, TRANSFER_MESSAGE_BYTES};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::bound::Bound;
use super::failure::Failure;

/// The store pod ends each call before.
const DEADLINE: Duration = Duration::from_secs(28);

/// See the module. Connects when it is first used.
#[derive(Clone)]
pub struct StorePod(TransferClient<Channel>);

impl StorePod {
    /// `target`: `host:port`.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(target: &str, identity: &LiveIdentity) -> Result<Self, ConnectError> {
        let channel = client::channel(target, Role::Store, identity)?;
        let client = TransferClient::new(channel)
            .max_decoding_message_size(TRANSFER_MESSAGE_BYTES)
            .max_encoding_message_size(TRANSFER_MESSAGE_BYTES);
        Ok(Self(client))
    }

    /// The entries of a Store after a key; empty: from the first.
    pub(super) async fn read(
        &self,
        store: &Bound,
        after: String,
    ) -> Result<ReadEntriesResponse, Failure> {
        let request = request(ReadEntriesRequest {
            store_id: store.id.clone(),
            class: store.class.clone(),
            after,
        });
        answer(self.0.clone().read_entries(request).await)
    }

    /// Sets all pairs or none.
    pub(super) async fn write(
        &self,
        store: &Bound,
        pairs: Vec<Pair>,
        only_if_empty: bool,
    ) -> Result<(), Failure> {
        let request = request(WriteEntriesRequest {
            store_id: store.id.clone(),
            class: store.class.clone(),
            pairs,
            only_if_empty,
        });
        answer(self.0.clone().write_entries(request).await).map(drop)
    }

    /// Orphans after an id; empty: from the first. 0: as many as come at once.
    pub(super) async fn orphans(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<ListOrphansResponse, Failure> {
        let limit = if limit == 0 { u32::MAX } else { limit };
        let request = request(ListOrphansRequest {
            after: after.to_owned(),
            limit,
            store_id: String::new(),
        });
        answer(self.0.clone().list_orphans(request).await)
    }

    /// The orphan of this id.
    pub(super) async fn orphan(&self, id: &str) -> Result<Orphan, Failure> {
        let request = request(ListOrphansRequest {
            store_id: id.to_owned(),
            ..ListOrphansRequest::default()
        });
        let found = answer(self.0.clone().list_orphans(request).await)?.orphans;
        let none = || Failure::not_found(format!("there is no orphaned data `{id}`"));
        found.into_iter().next().ok_or_else(none)
    }

    /// Removes an orphan's data, or a part of it; whether all is gone.
    pub(super) async fn purge(&self, id: &str) -> Result<bool, Failure> {
        let store_id = id.to_owned();
        let request = request(PurgeOrphanRequest { store_id });
        Ok(answer(self.0.clone().purge_orphan(request).await)?.done)
    }
}

fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}

fn answer<T>(answer: Result<Response<T>, Status>) -> Result<T, Failure> {
    answer
        .map(Response::into_inner)
        .map_err(|status| Failure::of_store_pod(&status))
}
