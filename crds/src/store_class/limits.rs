//! Bounds of each Store of a class.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ByteQuantity;

/// Bounds of each Store of a class. Past one, a write fails with an error that names the limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreClassLimits {
    /// Bytes of the longest key, or object's name. Default 1024.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2048))]
    pub key_bytes: Option<i32>,

    /// Size of the largest value, in bytes or with a unit. Default 1Mi. One call carries at most
    /// 8Mi, whatever this says. Of interface `Blob`: of the largest object; default 1Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_bytes: Option<ByteQuantity>,

    /// Most keys of a Store, or objects. Unset: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub keys: Option<i64>,

    /// Most bytes of keys and values together. Unset: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<ByteQuantity>,

    /// Most operations per second on a Store, of all nodes together. Unset: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub ops_per_second: Option<i32>,
}
