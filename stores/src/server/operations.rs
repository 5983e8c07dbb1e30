//! `shoal_store_served_calls_total{op,code}`.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
};

use tonic::Code;

/// gRPC has codes 0 to 16.
const CODES: usize = 17;

/// Calls of the service.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Name {
    Get,
    Set,
    Delete,
    Exists,
    ListKeys,
    Increment,
    CompareAndSwap,
    Usage,
    Purge,
    Health,
    Execute,
    ReadObject,
    WriteObject,
    ObjectInfo,
    ListObjects,
    DeleteObjects,
    CopyObject,
    ClearObjects,
}

impl Name {
    const ALL: [(Name, &'static str); 18] = [
        (Name::Get, "get"),
        (Name::Set, "set"),
        (Name::Delete, "delete"),
        (Name::Exists, "exists"),
        (Name::ListKeys, "list_keys"),
        (Name::Increment, "increment"),
        (Name::CompareAndSwap, "compare_and_swap"),
        (Name::Usage, "usage"),
        (Name::Purge, "purge"),
        (Name::Health, "health"),
        (Name::Execute, "execute"),
        (Name::ReadObject, "read_object"),
        (Name::WriteObject, "write_object"),
        (Name::ObjectInfo, "object_info"),
        (Name::ListObjects, "list_objects"),
        (Name::DeleteObjects, "delete_objects"),
        (Name::CopyObject, "copy_object"),
        (Name::ClearObjects, "clear_objects"),
    ];
}

/// How often each call ended with each code.
#[derive(Debug, Default)]
pub struct Operations {
    counts: [[AtomicU64; CODES]; Name::ALL.len()],
}

impl Operations {
    pub(crate) fn count(&self, name: Name, code: Code) {
        if let Some(count) = self
            .counts
            .get(name as usize)
            .and_then(|codes| codes.get(code as i32 as usize))
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counts in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = "# HELP shoal_store_served_calls_total Calls that the store pod answered, of runtimes.\n\
                        # TYPE shoal_store_served_calls_total counter\n"
            .to_owned();
        for ((_, name), codes) in Name::ALL.iter().zip(&self.counts) {
            for (code, count) in codes.iter().enumerate() {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let code = code_name(Code::from(i32::try_from(code).unwrap_or_default()));
                    // Writing to a String does not fail.
                    let _ = writeln!(
                        text,
                        "shoal_store_served_calls_total{{op=\"{name}\",code=\"{code}\"}} {count}"
                    );
                }
            }
        }
        text
    }
}

/// The name of a code in gRPC's own spelling.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_name_and_code() {
        let operations = Operations::default();
        for (name, _) in Name::ALL {
            operations.count(name, Code::Ok);
        }
        operations.count(Name::Set, Code::Unavailable);
        operations.count(Name::Set, Code::Unavailable);
        let text = operations.render();
        assert!(
            text.contains("{op=\"compare_and_swap\",code=\"OK\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("{op=\"set\",code=\"UNAVAILABLE\"} 2\n"),
            "{text}"
        );
        assert!(
            !text.contains("{op=\"get\",code=\"UNAVAILABLE\"}"),
            "{text}"
        );
    }
}
