//! The service `shoal.v1.Transfer`: entries of Stores, and data whose Store is gone, for the operator.

mod entries;
mod orphans;

use std::{sync::Arc, time::Duration};

use shoal_protocol::{
    Role, TRANSFER_MESSAGE_BYTES,
    server::require,
    v1::{self, transfer_server},
};
use tokio::{sync::Semaphore, time::timeout};
use tonic::{Request, Response, Status};

use super::{CatalogError, Housekeeping};
use crate::{Backend, InvalidStoreId, MAX_BYTES_PER_CALL, StoreId, StoreLimits, wire};

/// Calls at once: each holds up to twice what one call to a backend carries.
const AT_ONCE: usize = 4;
/// A call waits this long for its turn.
const TURN: Duration = Duration::from_secs(10);
/// A call ends by then; what takes longer is asked for again.
const WORK: Duration = Duration::from_secs(15);
/// A page, its last value, and their framing fit into a message.
const _: () = assert!(TRANSFER_MESSAGE_BYTES >= 2 * MAX_BYTES_PER_CALL + 1024 * 1024);

/// See the module.
pub struct TransferService {
    of: Arc<Housekeeping>,
    turns: Semaphore,
}

impl TransferService {
    /// The service, to add to a tonic server whose connections are those of `shoal_protocol::server`.
    pub fn service(of: Arc<Housekeeping>) -> transfer_server::TransferServer<Self> {
        let turns = Semaphore::new(AT_ONCE);
        transfer_server::TransferServer::new(Self { of, turns })
            .max_decoding_message_size(TRANSFER_MESSAGE_BYTES)
            .max_encoding_message_size(TRANSFER_MESSAGE_BYTES)
    }

    /// Does the work of a call when its turn has come.
    async fn take<Q, A>(
        &self,
        request: Request<Q>,
        work: impl AsyncFnOnce(Q) -> Result<A, Status>,
    ) -> Result<Response<A>, Status> {
        require(&request, &[Role::Operator])?;
        let done = self.in_turn(work(request.into_inner())).await;
        // By the mark the operator knows that the message is for people.
        done.map(Response::new).map_err(wire::answered)
    }

    async fn in_turn<A>(&self, work: impl Future<Output = Result<A, Status>>) -> Result<A, Status> {
        let turn = timeout(TURN, self.turns.acquire()).await;
        let _turn = turn.map_err(|_| Status::unavailable("too many transfers at once"))?;
        let done = timeout(WORK, work).await;
        done.unwrap_or_else(|_| {
            let message = format!("it took longer than {WORK:?}");
            Err(Status::unavailable(message))
        })
    }

    /// The backend and the limits of a class.
    fn class(&self, name: &str) -> Result<(Arc<dyn Backend>, StoreLimits), Status> {
        let classes = self.of.classes.lock();
        let limits = classes
            .limits(name)
            .ok_or_else(|| Status::not_found(format!("there is no StoreClass `{name}`")))?;
        let backend = classes.usable_keys(name).map_err(Status::unavailable)?;
        Ok((backend, limits))
    }
}

#[tonic::async_trait]
impl transfer_server::Transfer for TransferService {
    async fn read_entries(
        &self,
        request: Request<v1::ReadEntriesRequest>,
    ) -> Result<Response<v1::ReadEntriesResponse>, Status> {
        self.take(request, async |request| {
            let store = store(&request.store_id)?;
            let (backend, _) = self.class(&request.class)?;
            let after = (!request.after.is_empty()).then_some(request.after);
            let page = entries::read(&*backend, store, after).await;
            page.map_err(Status::from)
        })
        .await
    }

    async fn write_entries(
        &self,
        request: Request<v1::WriteEntriesRequest>,
    ) -> Result<Response<v1::WriteEntriesResponse>, Status> {
        self.take(request, async |request| {
            let store = store(&request.store_id)?;
            let (backend, limits) = self.class(&request.class)?;
            if request.only_if_empty {
                let held = backend.usage(store).await.map_err(Status::from)?.keys;
                if held > 0 {
                    let message = format!("the Store is not empty: it holds {held} keys");
                    return Err(Status::failed_precondition(message));
                }
            }
            if request.pairs.is_empty() {
                return Ok(v1::WriteEntriesResponse {});
            }
            let pairs = request.pairs.into_iter();
            let pairs = pairs.map(|pair| (pair.key, pair.value)).collect();
            let written = backend.set(store, pairs, limits).await;
            written.map_err(Status::from)?;
            Ok(v1::WriteEntriesResponse {})
        })
        .await
    }

    async fn list_orphans(
        &self,
        request: Request<v1::ListOrphansRequest>,
    ) -> Result<Response<v1::ListOrphansResponse>, Status> {
        self.take(request, async |request| {
            if !request.store_id.is_empty() {
                return orphans::one(&self.of, store(&request.store_id)?).await;
            }
            let after = match request.after.as_str() {
                "" => StoreId::NONE,
                id => store(id)?,
            };
            orphans::list(&self.of, after, request.limit).await
        })
        .await
    }

    async fn purge_orphan(
        &self,
        request: Request<v1::PurgeOrphanRequest>,
    ) -> Result<Response<v1::PurgeOrphanResponse>, Status> {
        self.take(request, async |request| {
            orphans::purge(&self.of, store(&request.store_id)?).await
        })
        .await
    }
}

fn store(id: &str) -> Result<StoreId, Status> {
    id.parse()
        .map_err(|error: InvalidStoreId| Status::invalid_argument(error.to_string()))
}

/// The catalog's own message names a path: that is for the log.
fn unreadable(error: &CatalogError) -> Status {
    tracing::warn!(%error, "whose data is where cannot be said");
    Status::unavailable("the catalog of stores cannot be read; see the log of the store pod")
}
