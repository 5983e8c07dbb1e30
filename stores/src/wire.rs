//! How calls and errors of [`KeyValue`](crate::KeyValue) look between runtime and `shoal-store`.

use bytes::Bytes;
use shoal_protocol::{OWN_MESSAGE, v1};
use tonic::{Code, Status, metadata::MetadataValue};

use crate::{Health, KeyValueError, Reason, StoreLimits, limits::MAX_BYTES_PER_CALL};

/// Largest message either way: what one call carries, and room for its framing.
pub(crate) const MAX_MESSAGE_BYTES: usize = MAX_BYTES_PER_CALL + 1024 * 1024;

impl From<KeyValueError> for Status {
    fn from(error: KeyValueError) -> Self {
        let (code, message) = match error {
            KeyValueError::AccessDenied => (
                Code::PermissionDenied,
                "access to this store is denied".to_owned(),
            ),
            KeyValueError::LimitExceeded(message) => (Code::ResourceExhausted, message),
            KeyValueError::NotAnInteger => (Code::FailedPrecondition, String::new()),
            KeyValueError::Unavailable(reason) => (Code::Unavailable, reason),
        };
        answered(Status::new(code, message))
    }
}

/// A status whose message is for guests.
pub(crate) fn for_guests(code: Code, message: String) -> Status {
    answered(Status::new(code, message))
}

/// The same, as the store's own answer.
pub(crate) fn answered(mut status: Status) -> Status {
    let mark = MetadataValue::from_static("1");
    status.metadata_mut().insert(OWN_MESSAGE, mark);
    status
}

/// Whether the store itself answered with this status, as opposed to whatever lies before it.
pub(crate) fn is_answer(status: &Status) -> bool {
    status.metadata().contains_key(OWN_MESSAGE)
}

/// What a status means to a guest.
pub(crate) fn error(status: &Status) -> KeyValueError {
    let message = || status.message().to_owned();
    match status.code() {
        Code::PermissionDenied => KeyValueError::AccessDenied,
        Code::ResourceExhausted if is_answer(status) => KeyValueError::LimitExceeded(message()),
        Code::FailedPrecondition if is_answer(status) => KeyValueError::NotAnInteger,
        Code::Unavailable if is_answer(status) => KeyValueError::Unavailable(message()),
        _ => KeyValueError::Unavailable("it cannot be reached".to_owned()),
    }
}

pub(crate) fn limits_to_wire(limits: StoreLimits) -> v1::StoreLimits {
    v1::StoreLimits {
        key_bytes: limits.key_bytes,
        value_bytes: limits.value_bytes,
        keys: limits.keys.unwrap_or(0),
        bytes: limits.bytes.unwrap_or(0),
    }
}

/// The limits that a message gives; where it says nothing, the defaults.
pub fn limits_from_wire(limits: Option<v1::StoreLimits>) -> StoreLimits {
    let default = StoreLimits::default();
    let Some(limits) = limits else {
        return default;
    };
    let given = |value: u64| (value != 0).then_some(value);
    StoreLimits {
        key_bytes: given(limits.key_bytes).unwrap_or(default.key_bytes),
        value_bytes: given(limits.value_bytes).unwrap_or(default.value_bytes),
        keys: given(limits.keys),
        bytes: given(limits.bytes),
    }
}

pub(crate) fn health_to_wire(health: Health) -> v1::HealthResponse {
    match health {
        Health::Reachable => v1::HealthResponse::default(),
        Health::Failing { reason, message } => v1::HealthResponse {
            reason: reason.as_str().to_owned(),
            message,
        },
    }
}

/// A reason that only a later version knows is the most general one here.
pub(crate) fn health_from_wire(health: v1::HealthResponse) -> Health {
    if health.reason.is_empty() {
        return Health::Reachable;
    }
    let known = |reason: &Reason| reason.as_str() == health.reason;
    let reason = Reason::ALL.into_iter().find(known);
    Health::failing(reason.unwrap_or(Reason::Unreachable), health.message)
}

pub(crate) fn value_to_wire(value: Option<Bytes>) -> v1::Value {
    v1::Value {
        found: value.is_some(),
        data: value.unwrap_or_default(),
    }
}

pub(crate) fn value_from_wire(value: v1::Value) -> Option<Bytes> {
    value.found.then_some(value.data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_arrive_as_they_were_sent() {
        for sent in [
            KeyValueError::AccessDenied,
            KeyValueError::LimitExceeded("7 keys are more than the limit of 6".to_owned()),
            KeyValueError::NotAnInteger,
            KeyValueError::Unavailable("the disk is full".to_owned()),
        ] {
            assert_eq!(error(&Status::from(sent.clone())), sent);
        }
    }

    #[test]
    fn health_arrives_as_it_was_sent() {
        let failing = Reason::ALL.map(|reason| Health::failing(reason, "what to do"));
        for sent in [Health::Reachable].into_iter().chain(failing) {
            assert_eq!(health_from_wire(health_to_wire(sent.clone())), sent);
        }
    }

    #[test]
    fn messages_of_the_network_never_reach_a_guest() {
        for code in [
            Code::Unavailable,
            Code::ResourceExhausted,
            Code::Internal,
            Code::Unknown,
        ] {
            let status = Status::new(code, "dial 10.1.2.3:9443: refused");
            assert!(!error(&status).to_string().contains("10.1.2.3"));
        }
    }
}
