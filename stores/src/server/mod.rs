//! The gRPC service in front of a backend: who may call, for which Store, and how much.

mod admission;
mod blob;
mod known;
mod operations;
mod responses;
mod sql;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use shoal_protocol::{
    Role,
    server::require,
    v1::{self, key_value_server},
};
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use self::{admission::parse, known::Known, responses::Responses};
pub use self::{
    admission::{Admission, Ceilings},
    blob::{BlobsServer, BlobsService},
    operations::Operations,
    responses::Holding,
    sql::{SqlServer, SqlService},
};
use crate::{
    Backend, Blobs, EmbeddedSql, Health, MAX_BYTES_PER_CALL, MAX_PAGE_BYTES, StoreId,
    key_value::Swap,
    wire::{self, MAX_MESSAGE_BYTES},
};

/// A call that purges ends by then, and is made again.
const PURGE: Duration = Duration::from_secs(2);

/// The service, to add to a tonic server whose connections are those of `shoal_protocol::server`.
pub type Service = Holding<key_value_server::KeyValueServer<Server>>;

/// What holds the Stores.
#[derive(Clone)]
pub struct Backends {
    /// Those of backend `embedded`.
    pub embedded: Arc<dyn Backend>,
    /// Those of backend `memory`.
    pub memory: Arc<dyn Backend>,
    /// Objects of backend `embedded`.
    pub blobs: Arc<dyn Blobs>,
    /// SQL databases of backend `embedded`.
    pub sql: Arc<EmbeddedSql>,
}

/// Answers runtimes, for the Stores that are granted to their pods.
pub struct Server {
    backends: Backends,
    admission: Admission,
    operations: Arc<Operations>,
    responses: Responses,
    /// Of the embedded backend and of the one in memory.
    healths: [Known; 2],
}

impl Server {
    /// A service in front of `backends`, that counts into `operations`.
    pub fn service(
        backends: Backends,
        admission: Admission,
        operations: Arc<Operations>,
    ) -> Service {
        let service = key_value_server::KeyValueServer::new(Self {
            backends,
            admission,
            operations,
            responses: Responses::default(),
            healths: Default::default(),
        });
        Holding(
            service
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
    }

    /// The backend of the Stores that are `in_memory`, or of those that are not.
    fn stores(&self, in_memory: bool) -> &dyn Backend {
        match in_memory {
            true => &*self.backends.memory,
            false => &*self.backends.embedded,
        }
    }

    async fn store<T>(&self, request: &Request<T>, id: &str) -> Result<StoreId, Status> {
        self.admission.store(request, id).await
    }

    /// How a backend is.
    async fn health_of(&self, in_memory: bool) -> Health {
        let [embedded, memory] = &self.healths;
        if in_memory {
            return memory.or(self.backends.memory.health()).await;
        }
        let ask = async {
            match self.backends.embedded.health().await {
                // Databases are of the same classes as the embedded stores, on the same disk.
                Health::Reachable => self.backends.sql.health().await,
                failing => failing,
            }
        };
        embedded.or(ask).await
    }

    async fn counted<T, A: Into<Response<T>>>(
        &self,
        operation: operations::Name,
        work: impl Future<Output = Result<A, Status>>,
    ) -> Result<Response<T>, Status> {
        let result = self.operations.counted(operation, work).await;
        result.map(Into::into)
    }
}

/// The pod that asks.
fn caller<T>(request: &Request<T>) -> Result<String, Status> {
    Ok(require(request, &[Role::Runtime])?.pod_uid().to_owned())
}

#[async_trait]
impl key_value_server::KeyValue for Server {
    async fn get(
        &self,
        request: Request<v1::KeysRequest>,
    ) -> Result<Response<v1::ValuesResponse>, Status> {
        let work = async {
            let caller = caller(&request)?;
            let store = self.store(&request, &request.get_ref().store_id).await?;
            let stores = self.stores(request.get_ref().in_memory);
            let room = self.responses.room(&caller, MAX_BYTES_PER_CALL).await?;
            let values = stores.get(store, request.into_inner().keys).await?;
            let values = values.into_iter().map(wire::value_to_wire).collect();
            Ok(room.hold(v1::ValuesResponse { values }))
        };
        self.counted(operations::Name::Get, work).await
    }

    async fn set(
        &self,
        request: Request<v1::SetRequest>,
    ) -> Result<Response<v1::WriteResponse>, Status> {
        let work = async {
            let store = self.store(&request, &request.get_ref().store_id).await?;
            let stores = self.stores(request.get_ref().in_memory);
            let v1::SetRequest { pairs, limits, .. } = request.into_inner();
            let pairs = pairs
                .into_iter()
                .map(|pair| (pair.key, pair.value))
                .collect();
            let limits = self.admission.limits(store, limits);
            stores.set(store, pairs, limits).await?;
            Ok(v1::WriteResponse {})
        };
        self.counted(operations::Name::Set, work).await
    }

    async fn delete(
        &self,
        request: Request<v1::KeysRequest>,
    ) -> Result<Response<v1::WriteResponse>, Status> {
        let work = async {
            let store = self.store(&request, &request.get_ref().store_id).await?;
            let stores = self.stores(request.get_ref().in_memory);
            stores.delete(store, request.into_inner().keys).await?;
            Ok(v1::WriteResponse {})
        };
        self.counted(operations::Name::Delete, work).await
    }

    async fn exists(
        &self,
        request: Request<v1::KeysRequest>,
    ) -> Result<Response<v1::ExistsResponse>, Status> {
        let work = async {
            let store = self.store(&request, &request.get_ref().store_id).await?;
            let stores = self.stores(request.get_ref().in_memory);
            let keys = request.into_inner().keys;
            crate::limits::check_keys(&keys)?;
            let mut exists = Vec::with_capacity(keys.len());
            for key in keys {
                exists.push(stores.exists(store, key).await?);
            }
            Ok(v1::ExistsResponse { exists })
        };
        self.counted(operations::Name::Exists, work).await
    }

    async fn list_keys(
        &self,
        request: Request<v1::ListKeysRequest>,
    ) -> Result<Response<v1::ListKeysResponse>, Status> {
        let work = async {
            let caller = caller(&request)?;
            let store = self.store(&request, &request.get_ref().store_id).await?;
            let stores = self.stores(request.get_ref().in_memory);
            let v1::ListKeysRequest { after, limit, .. } = request.into_inner();
            let after = (!after.is_empty()).then_some(after);
            let room = self.responses.room(&caller, MAX_PAGE_BYTES).await?;
            let page = stores.list_keys(store, after, limit).await?;
            Ok(room.hold(v1::ListKeysResponse {
                keys: page.keys,
                more: page.more,
            }))
        };
        self.counted(operations::Name::ListKeys, work).await
    }

    async fn increment(
        &self,
        request: Request<v1::IncrementRequest>,
    ) -> Result<Response<v1::IncrementResponse>, Status> {
        let work = async {
            let store = self.store(&request, &request.get_ref().store_id).await?;
            let stores = self.stores(request.get_ref().in_memory);
            let v1::IncrementRequest {
                key, delta, limits, ..
            } = request.into_inner();
            let limits = self.admission.limits(store, limits);
            let value = stores.increment(store, key, delta, limits).await?;
            Ok(v1::IncrementResponse { value })
        };
        self.counted(operations::Name::Increment, work).await
    }

    async fn compare_and_swap(
        &self,
        request: Request<v1::CompareAndSwapRequest>,
    ) -> Result<Response<v1::CompareAndSwapResponse>, Status> {
        let work = async {
            let caller = caller(&request)?;
            let store = self.store(&request, &request.get_ref().store_id).await?;
            let stores = self.stores(request.get_ref().in_memory);
            let request = request.into_inner();
            let expected = request
                .expected
                .ok_or_else(|| Status::invalid_argument("`expected` is missing"))?;
            let expected = wire::value_from_wire(expected);
            let limits = self.admission.limits(store, request.limits);
            // It may have to answer with the value that is there, which was within the same limit.
            let largest = usize::try_from(limits.value_bytes).unwrap_or(usize::MAX);
            let room = self.responses.room(&caller, largest).await?;
            let swap = stores
                .compare_and_swap(store, request.key, expected, request.value, limits)
                .await?;
            Ok(room.hold(match swap {
                Swap::Done => v1::CompareAndSwapResponse {
                    swapped: true,
                    current: None,
                },
                Swap::Lost { current } => v1::CompareAndSwapResponse {
                    swapped: false,
                    current: Some(wire::value_to_wire(current)),
                },
            }))
        };
        self.counted(operations::Name::CompareAndSwap, work).await
    }

    async fn usage(
        &self,
        request: Request<v1::StoreRequest>,
    ) -> Result<Response<v1::UsageResponse>, Status> {
        let work = async {
            require(&request, &[Role::Operator])?;
            let request = request.get_ref();
            let store = parse(&request.store_id)?;
            let usage = self.stores(request.in_memory).usage(store).await?;
            Ok(v1::UsageResponse {
                keys: usage.keys,
                bytes: usage.bytes,
            })
        };
        self.counted(operations::Name::Usage, work).await
    }

    async fn purge(
        &self,
        request: Request<v1::PurgeRequest>,
    ) -> Result<Response<v1::PurgeResponse>, Status> {
        let work = async {
            require(&request, &[Role::Operator])?;
            let request = request.get_ref();
            let store = parse(&request.store_id)?;
            // Begun again it meets only what is left.
            let purge = self.stores(request.in_memory).purge(store);
            let more = match timeout(PURGE, purge).await {
                Ok(result) => result.map(|()| false)?,
                Err(_) => true,
            };
            Ok(v1::PurgeResponse { more })
        };
        self.counted(operations::Name::Purge, work).await
    }

    async fn health(
        &self,
        request: Request<v1::HealthRequest>,
    ) -> Result<Response<v1::HealthResponse>, Status> {
        let work = async {
            require(&request, &[Role::Runtime, Role::Operator])?;
            let health = self.health_of(request.get_ref().in_memory).await;
            Ok(wire::health_to_wire(health))
        };
        self.counted(operations::Name::Health, work).await
    }
}
