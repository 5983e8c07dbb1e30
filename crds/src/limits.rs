//! Bounds on what an App may use, and what holds where it says nothing.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ByteQuantity, CpuQuantity, Period};

/// Bounds on what an app may use, on each node that serves it. They change live.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Memory of all instances of the app together on a node, in bytes or with a unit. Past it,
    /// growing fails in the guest and new requests get 503. Default 512Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteQuantity>,

    /// Memory of one instance. Past it, growing fails in the guest. Default 128Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_memory: Option<ByteQuantity>,

    /// Requests at once on a node. One more gets 503 with `Retry-After`. Default 128.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub concurrency: Option<i32>,

    /// The app's part of a node's processors where apps want more than there is: beside others by this
    /// weight, whatever it computes with how many requests. Default 500m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuQuantity>,

    /// Size of a request's body. A larger one gets 413. Default 10Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_body: Option<ByteQuantity>,

    /// Time until the response begins. Past it the client gets 504. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_start: Option<Period>,

    /// Time in which no byte of a body moves either way. Past it the exchange ends. Default 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Period>,
}

/// Limits with every default filled in. Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectiveLimits {
    /// Memory of all instances together.
    pub memory: u64,
    /// Memory of one instance.
    pub instance_memory: u64,
    /// Requests at once.
    pub concurrency: u32,
    /// Weight beside other apps: thousandths of a processor.
    pub cpu: u32,
    /// Size of a request's body.
    pub request_body: u64,
    /// Time until the response begins.
    pub response_start: Duration,
    /// Time in which no byte moves.
    pub idle: Duration,
}

const MI: u64 = 1024 * 1024;

impl Default for EffectiveLimits {
    fn default() -> Self {
        Self {
            memory: 512 * MI,
            instance_memory: 128 * MI,
            concurrency: 128,
            cpu: 500,
            request_body: 10 * MI,
            response_start: Duration::from_secs(30),
            idle: Duration::from_secs(60),
        }
    }
}

impl Limits {
    /// What holds for an app that says `limits`.
    pub fn effective(limits: Option<&Self>) -> EffectiveLimits {
        let default = EffectiveLimits::default();
        let Some(limits) = limits else { return default };
        let bytes =
            |own: &Option<ByteQuantity>, default| own.as_ref().map_or(default, |q| q.bytes());
        let time = |own: &Option<Period>, default| own.as_ref().map_or(default, |p| p.duration());
        EffectiveLimits {
            memory: bytes(&limits.memory, default.memory),
            instance_memory: bytes(&limits.instance_memory, default.instance_memory),
            concurrency: limits
                .concurrency
                .and_then(|n| u32::try_from(n).ok())
                .map_or(default.concurrency, |n| n.max(1)),
            cpu: limits.cpu.as_ref().map_or(default.cpu, CpuQuantity::millis),
            request_body: bytes(&limits.request_body, default.request_body),
            response_start: time(&limits.response_start, default.response_start),
            idle: time(&limits.idle, default.idle),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_keeps_its_default() {
        let limits: Limits =
            crate::yaml::from_str("{memory: 1Gi, requestBody: 1000, idle: 500ms}").unwrap();
        let effective = Limits::effective(Some(&limits));
        assert_eq!(effective.memory, 1024 * MI);
        assert_eq!(effective.request_body, 1000);
        assert_eq!(effective.idle, Duration::from_millis(500));
        assert_eq!(effective.instance_memory, 128 * MI);
        assert_eq!(Limits::effective(None), EffectiveLimits::default());
    }
}
