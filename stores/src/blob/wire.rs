//! How objects and errors look between runtime and `shoal-store`.

use shoal_protocol::v1;
use tonic::{Code, Status};

use super::{BlobError, ObjectInfo};
use crate::wire::{for_guests, is_answer};

impl From<BlobError> for Status {
    fn from(error: BlobError) -> Self {
        let (code, message) = match error {
            BlobError::AccessDenied | BlobError::NotFound => {
                let code = match error {
                    BlobError::NotFound => Code::NotFound,
                    _ => Code::PermissionDenied,
                };
                (code, error.to_string())
            }
            BlobError::Refused(message) => (Code::FailedPrecondition, message),
            BlobError::LimitExceeded(message) => (Code::ResourceExhausted, message),
            BlobError::Incomplete(message) => (Code::Aborted, message),
            BlobError::Unavailable(reason) => (Code::Unavailable, reason),
        };
        for_guests(code, message)
    }
}

/// What a status means to a guest.
pub(crate) fn error(status: &Status) -> BlobError {
    let message = || status.message().to_owned();
    match status.code() {
        Code::PermissionDenied => BlobError::AccessDenied,
        Code::NotFound if is_answer(status) => BlobError::NotFound,
        Code::FailedPrecondition if is_answer(status) => BlobError::Refused(message()),
        Code::ResourceExhausted if is_answer(status) => BlobError::LimitExceeded(message()),
        Code::Aborted if is_answer(status) => BlobError::Incomplete(message()),
        Code::Unavailable if is_answer(status) => BlobError::Unavailable(message()),
        _ => BlobError::unavailable("it cannot be reached"),
    }
}

pub(crate) fn info_to_wire(info: ObjectInfo) -> v1::ObjectInfo {
    v1::ObjectInfo {
        size: info.size,
        created_at: info.created_at,
    }
}

pub(crate) fn info(info: v1::ObjectInfo) -> ObjectInfo {
    ObjectInfo {
        size: info.size,
        created_at: info.created_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_arrive_as_they_were_sent_and_those_of_the_network_name_no_host() {
        for sent in [
            BlobError::AccessDenied,
            BlobError::NotFound,
            BlobError::Refused("no such range".into()),
            BlobError::LimitExceeded("1 MiB".into()),
            BlobError::Incomplete("it was cut".into()),
            BlobError::Unavailable("the disk is full".into()),
        ] {
            assert_eq!(error(&sent.clone().into()), sent);
        }
        for code in [Code::Unavailable, Code::NotFound, Code::Internal] {
            let foreign = Status::new(code, "tcp connect error: 10.0.0.7:9443");
            let told = error(&foreign);
            assert_eq!(told, BlobError::unavailable("it cannot be reached"));
        }
    }
}
