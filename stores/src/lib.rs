//! Stores that guests open by a label: one trait per interface, one module per backend.
//!
//! Everything is keyed by the [`StoreId`] of a `Store` object, never by a name that a tenant chose.

pub mod backup;
pub mod blob;
mod counter;
pub mod embedded;
mod gate;
mod health;
pub mod housekeeping;
pub mod key_value;
mod limits;
pub mod memory;
mod place;
pub mod postgres;
mod quota;
pub mod redis;
pub mod remote;
pub mod server;
mod shortage;
pub mod sql;
mod store_id;
mod wire;

pub use self::redis::{Redis, RedisOptions};
pub use blob::{BlobError, Blobs, EmbeddedBlobs, S3};
pub use embedded::Embedded;
pub use health::{Backend, Connections, Health, Reason};
pub use key_value::{KeyValue, KeyValueError, StoreLimits, Usage};
pub use limits::{MAX_BYTES_PER_CALL, MAX_KEYS_PER_CALL, MAX_PAGE_BYTES, MAX_PAGE_KEYS};
pub use memory::Memory;
pub use place::{InvalidPlaceId, PlaceId};
pub use postgres::Postgres;
pub use remote::{Remote, RemoteBlobs, RemoteSql};
pub use sql::{EmbeddedSql, Sql, SqlError};
pub use store_id::{InvalidStoreId, StoreId};
pub use wire::limits_from_wire;
