//! Stores of `shoal-store`, over gRPC.

mod blob;
mod calls;
mod sql;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use shoal_protocol::{
    LiveIdentity, Role,
    client::{self, ConnectError},
    v1::{self, key_value_client::KeyValueClient},
};
use tonic::{Status, transport::Channel};

use self::calls::{CallError, Calls, Repeat};
pub use self::{blob::RemoteBlobs, sql::RemoteSql};
use crate::{
    Backend, Health, KeyValue, KeyValueError, Reason, StoreId, StoreLimits, Usage,
    gate::CALLS_PER_STORE,
    key_value::{KeyPage, Swap},
    limits::{self, MAX_PAGE_KEYS},
    wire::{self, MAX_MESSAGE_BYTES, limits_to_wire, value_from_wire, value_to_wire},
};

/// Every call ends by then.
const DEADLINE: Duration = Duration::from_secs(5);

impl CallError for KeyValueError {
    fn of(status: &Status) -> Self {
        wire::error(status)
    }

    fn unavailable(why: String) -> Self {
        Self::Unavailable(why)
    }
}

/// The stores behind one `shoal-store`. Every call ends within 5 s, whatever happens to the connection,
/// which is made again by itself.
pub struct Remote {
    calls: Arc<Calls<KeyValueClient<Channel>, KeyValueError>>,
    in_memory: bool,
}

impl Remote {
    /// The stores at `target` (`host:port`), opened as `identity`. Connects with the first call. Must be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(target: &str, identity: &LiveIdentity) -> Result<Self, ConnectError> {
        let channel = client::channel(target, Role::Store, identity)?;
        let client = KeyValueClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Self {
            calls: Arc::new(Calls::new(client, DEADLINE, CALLS_PER_STORE)),
            in_memory: false,
        })
    }

    /// The Stores of the same `shoal-store` that it keeps in its memory. They end with its process.
    pub fn in_memory(&self) -> Self {
        Self {
            calls: self.calls.clone(),
            in_memory: true,
        }
    }
}

/// What a store of another kind than ours would answer.
fn nonsense() -> KeyValueError {
    KeyValueError::Unavailable("it gave an answer to another question".to_owned())
}

#[async_trait]
impl KeyValue for Remote {
    async fn get(
        &self,
        store: StoreId,
        keys: Vec<String>,
    ) -> Result<Vec<Option<Bytes>>, KeyValueError> {
        limits::check_keys(&keys)?;
        let asked = keys.len();
        let request = v1::KeysRequest {
            store_id: store.to_string(),
            keys,
            in_memory: self.in_memory,
        };
        let answer = self
            .calls
            .run(
                store,
                Repeat::Always,
                request,
                |mut client, request| async move { client.get(request).await },
            )
            .await?;
        if answer.values.len() != asked {
            return Err(nonsense());
        }
        Ok(answer.values.into_iter().map(value_from_wire).collect())
    }

    async fn set(
        &self,
        store: StoreId,
        pairs: Vec<(String, Bytes)>,
        limits: StoreLimits,
    ) -> Result<(), KeyValueError> {
        limits::check_pairs(&pairs, limits)?;
        let request = v1::SetRequest {
            store_id: store.to_string(),
            pairs: pairs
                .into_iter()
                .map(|(key, value)| v1::Pair { key, value })
                .collect(),
            limits: Some(limits_to_wire(limits)),
            in_memory: self.in_memory,
        };
        self.calls
            .run(
                store,
                Repeat::Unsent,
                request,
                |mut client, request| async move { client.set(request).await },
            )
            .await
            .map(|_| ())
    }

    async fn delete(&self, store: StoreId, keys: Vec<String>) -> Result<(), KeyValueError> {
        limits::check_keys(&keys)?;
        let request = v1::KeysRequest {
            store_id: store.to_string(),
            keys,
            in_memory: self.in_memory,
        };
        self.calls
            .run(
                store,
                Repeat::Unsent,
                request,
                |mut client, request| async move { client.delete(request).await },
            )
            .await
            .map(|_| ())
    }

    async fn exists(&self, store: StoreId, key: String) -> Result<bool, KeyValueError> {
        limits::check_call_bytes(key.len())?;
        let request = v1::KeysRequest {
            store_id: store.to_string(),
            keys: vec![key],
            in_memory: self.in_memory,
        };
        let answer = self
            .calls
            .run(
                store,
                Repeat::Always,
                request,
                |mut client, request| async move { client.exists(request).await },
            )
            .await?;
        match answer.exists.as_slice() {
            [exists] => Ok(*exists),
            _ => Err(nonsense()),
        }
    }

    async fn list_keys(
        &self,
        store: StoreId,
        after: Option<String>,
        limit: u32,
    ) -> Result<KeyPage, KeyValueError> {
        limits::check_call_bytes(after.as_ref().map_or(0, String::len))?;
        let request = v1::ListKeysRequest {
            store_id: store.to_string(),
            after: after.unwrap_or_default(),
            limit: limit.min(MAX_PAGE_KEYS),
            in_memory: self.in_memory,
        };
        let answer = self
            .calls
            .run(
                store,
                Repeat::Always,
                request,
                |mut client, request| async move { client.list_keys(request).await },
            )
            .await?;
        Ok(KeyPage {
            keys: answer.keys,
            more: answer.more,
        })
    }

    async fn increment(
        &self,
        store: StoreId,
        key: String,
        delta: i64,
        limits: StoreLimits,
    ) -> Result<i64, KeyValueError> {
        limits::check_key(&key, limits)?;
        let request = v1::IncrementRequest {
            store_id: store.to_string(),
            key,
            delta,
            limits: Some(limits_to_wire(limits)),
            in_memory: self.in_memory,
        };
        self.calls
            .run(
                store,
                Repeat::Unsent,
                request,
                |mut client, request| async move { client.increment(request).await },
            )
            .await
            .map(|answer| answer.value)
    }

    async fn compare_and_swap(
        &self,
        store: StoreId,
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
        limits: StoreLimits,
    ) -> Result<Swap, KeyValueError> {
        limits::check_key(&key, limits)?;
        limits::check_value(value.len(), limits)?;
        limits::check_call_bytes(value.len() + expected.as_ref().map_or(0, Bytes::len))?;
        let request = v1::CompareAndSwapRequest {
            store_id: store.to_string(),
            key,
            expected: Some(value_to_wire(expected)),
            value,
            limits: Some(wire::limits_to_wire(limits)),
            in_memory: self.in_memory,
        };
        let answer = self
            .calls
            .run(
                store,
                Repeat::Unsent,
                request,
                |mut client, request| async move { client.compare_and_swap(request).await },
            )
            .await?;
        if answer.swapped {
            return Ok(Swap::Done);
        }
        Ok(Swap::Lost {
            current: answer.current.and_then(value_from_wire),
        })
    }

    /// For an operator alone.
    async fn usage(&self, store: StoreId) -> Result<Usage, KeyValueError> {
        let request = v1::StoreRequest {
            store_id: store.to_string(),
            in_memory: self.in_memory,
        };
        let answer = self
            .calls
            .run(
                store,
                Repeat::Always,
                request,
                |mut client, request| async move { client.usage(request).await },
            )
            .await?;
        Ok(Usage {
            keys: answer.keys,
            bytes: answer.bytes,
        })
    }

    /// For an operator alone. Takes as long as the keys need; each step ends within 5 s.
    async fn purge(&self, store: StoreId) -> Result<(), KeyValueError> {
        let request = v1::PurgeRequest {
            store_id: store.to_string(),
            in_memory: self.in_memory,
        };
        let mut more = true;
        while more {
            more = self
                .calls
                .run(
                    store,
                    Repeat::Always,
                    request.clone(),
                    |mut client, request| async move { client.purge(request).await },
                )
                .await?
                .more;
        }
        Ok(())
    }
}

#[async_trait]
impl Backend for Remote {
    async fn health(&self) -> Health {
        let request = v1::HealthRequest {
            in_memory: self.in_memory,
        };
        let answer = self
            .calls
            .run(
                StoreId::NONE,
                Repeat::Always,
                request,
                |mut client, request| async move { client.health(request).await },
            )
            .await;
        match answer {
            Ok(answer) => wire::health_from_wire(answer),
            Err(KeyValueError::AccessDenied) => {
                Health::of(Reason::CredentialsRefused, &KeyValueError::AccessDenied)
            }
            Err(error) => Health::of(Reason::Unreachable, &error),
        }
    }
}
