//! How often each call ended with which code, and how long calls took.

use std::time::{Duration, Instant};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};
use tonic::{Code, Status};

/// Upper bounds of a duration's buckets, in seconds. A call ends by its deadline; content that is written may take
/// longer.
const BUCKETS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// Makes an enum of the values of label `op`.
macro_rules! names {
    ($($name:ident = $label:literal,)+) => {
        /// Calls of the service.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Name { $($name,)+ }

        impl Name {
            fn as_str(self) -> &'static str {
                match self { $(Self::$name => $label,)+ }
            }
        }
    };
}

names! {
    Get = "get",
    Set = "set",
    Delete = "delete",
    Exists = "exists",
    ListKeys = "list",
    Increment = "increment",
    CompareAndSwap = "compare_and_swap",
    Usage = "usage",
    Purge = "purge",
    Health = "health",
    Execute = "execute",
    ReadObject = "read_object",
    WriteObject = "write_object",
    ObjectInfo = "object_info",
    ListObjects = "list_objects",
    DeleteObjects = "delete_objects",
    CopyObject = "copy_object",
    ClearObjects = "clear_objects",
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    op: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Took {
    op: &'static str,
}

/// See the module.
#[derive(Debug)]
pub struct Operations {
    registry: Registry,
    ended: Family<Ended, Counter>,
    took: Family<Took, Histogram, fn() -> Histogram>,
}

impl Default for Operations {
    fn default() -> Self {
        let ended = Family::default();
        let took: Family<Took, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS));
        let mut registry = Registry::default();
        let help = "Calls that the store pod answered, of runtimes, by gRPC code";
        registry.register("shoal_store_served_calls", help, ended.clone());
        let help = "Time from a call's arrival in the store pod to its answer";
        registry.register_with_unit(
            "shoal_store_served_call_duration",
            help,
            Unit::Seconds,
            took.clone(),
        );
        Self {
            registry,
            ended,
            took,
        }
    }
}

impl Operations {
    /// Does what a call is there for, and counts how that ended.
    pub(crate) async fn counted<T>(
        &self,
        name: Name,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let began = Instant::now();
        let result = work.await;
        let code = result.as_ref().map_or_else(Status::code, |_| Code::Ok);
        self.count(name, code, began.elapsed());
        result
    }

    fn count(&self, name: Name, code: Code, took: Duration) {
        let op = name.as_str();
        let ended = Ended {
            op,
            code: code_name(code),
        };
        self.ended.get_or_create(&ended).inc();
        let took_of = self.took.get_or_create(&Took { op });
        took_of.observe(took.as_secs_f64());
    }

    /// The counts in Prometheus' text format, without its end.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = text::encode_registry(&mut text, &self.registry);
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

    #[tokio::test]
    async fn calls_are_counted_by_name_and_code_and_timed_by_name() {
        let operations = Operations::default();
        let well = operations.counted(Name::CompareAndSwap, async { Ok(7) });
        assert_eq!(well.await.unwrap(), 7);
        for _ in 0..2 {
            let away = async { Err::<(), _>(Status::unavailable("away")) };
            operations.counted(Name::Set, away).await.unwrap_err();
        }
        operations.count(Name::Set, Code::Ok, Duration::from_millis(2));
        operations.count(Name::Set, Code::Ok, Duration::from_secs(100));
        let text = operations.render();
        for line in [
            "shoal_store_served_calls_total{op=\"compare_and_swap\",code=\"OK\"} 1\n",
            "shoal_store_served_calls_total{op=\"set\",code=\"UNAVAILABLE\"} 2\n",
            "shoal_store_served_call_duration_seconds_bucket{le=\"10.0\",op=\"set\"} 3\n",
            "shoal_store_served_call_duration_seconds_bucket{le=\"+Inf\",op=\"set\"} 4\n",
            "shoal_store_served_call_duration_seconds_count{op=\"compare_and_swap\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert!(!text.contains("op=\"get\""), "{text}");
    }
}
