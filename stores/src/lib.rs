//! Stores that guests open by a label: one trait per interface, one module per backend.
//!
//! Everything is keyed by the [`StoreId`] of a `Store` object, never by a name that a tenant chose.

pub mod key_value;
mod store_id;

pub use key_value::{KeyValue, KeyValueError, ValueLimits};
pub use store_id::{InvalidStoreId, StoreId};
