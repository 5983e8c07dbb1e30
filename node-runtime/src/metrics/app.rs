//! Counts of one app, kept with it: no two apps share a lock or a cache line on a request's way.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use http::StatusCode;
use parking_lot::Mutex;

/// Who made a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A guest.
    Guest,
    /// The runtime.
    Runtime,
}

impl Source {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Runtime => "runtime",
        }
    }
}

/// Upper bounds of the buckets, in seconds; one more has none.
pub(super) const BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// Without traffic for so long, an app has no series.
const QUIET: Duration = Duration::from_secs(600);

/// The status of a response as a label: itself where it has a meaning, else its class, so that no
/// guest decides how many series there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Known(StatusCode),
    /// The first digit.
    Class(u16),
}

impl From<StatusCode> for Code {
    fn from(status: StatusCode) -> Self {
        match status.canonical_reason() {
            Some(_) => Self::Known(status),
            None => Self::Class(status.as_u16() / 100),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(status) => f.write_str(status.as_str()),
            Self::Class(class) => write!(f, "{class}xx"),
        }
    }
}

/// Counts of one app.
#[derive(Default)]
pub struct AppMetrics {
    requests: Mutex<Requests>,
    cold_starts: AtomicU64,
    durations: Durations,
}

#[derive(Default)]
struct Requests {
    counts: Vec<(Code, Source, u64)>,
    last: Option<Instant>,
}

/// How long something took.
#[derive(Default)]
pub(crate) struct Durations {
    pub(super) buckets: [AtomicU64; BUCKETS.len() + 1],
    pub(super) microseconds: AtomicU64,
}

impl Durations {
    /// Counts what took so long.
    pub(crate) fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let at = BUCKETS
            .iter()
            .position(|bound| seconds <= *bound)
            .unwrap_or(BUCKETS.len());
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    /// How many were counted.
    pub(crate) fn count(&self) -> u64 {
        let counts = self.buckets.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Adds all of `other`.
    pub(super) fn merge(&self, other: &Self) {
        for (mine, theirs) in self.buckets.iter().zip(&other.buckets) {
            mine.fetch_add(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let theirs = other.microseconds.load(Ordering::Relaxed);
        self.microseconds.fetch_add(theirs, Ordering::Relaxed);
    }
}

impl AppMetrics {
    /// Counts a request that is over.
    pub(crate) fn record(&self, status: StatusCode, source: Source, took: Duration) {
        self.durations.add(took);
        let code = Code::from(status);
        let mut requests = self.requests.lock();
        requests.last = Some(Instant::now());
        let found = requests
            .counts
            .iter_mut()
            .find(|(c, from, _)| (*c, *from) == (code, source));
        match found {
            Some((_, _, count)) => *count = count.saturating_add(1),
            None => requests.counts.push((code, source, 1)),
        }
    }

    /// Counts a request whose code was not mapped.
    pub(crate) fn cold_start(&self) {
        self.cold_starts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn cold_starts(&self) -> u64 {
        self.cold_starts.load(Ordering::Relaxed)
    }

    pub(super) fn durations(&self) -> &Durations {
        &self.durations
    }

    /// Requests by status and source; none once the app has been quiet for long.
    pub(super) fn requests(&self) -> Vec<(Code, Source, u64)> {
        let requests = self.requests.lock();
        match requests.last {
            Some(last) if last.elapsed() < QUIET => requests.counts.clone(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_answers_with_every_status_makes_few_series() {
        let metrics = AppMetrics::default();
        for status in 100..1000 {
            let status = StatusCode::from_u16(status).unwrap();
            metrics.record(status, Source::Guest, Duration::ZERO);
        }
        let requests = metrics.requests();
        assert!(requests.len() < 100, "{}", requests.len());
        assert_eq!(requests.iter().map(|(_, _, count)| count).sum::<u64>(), 900);
        let codes: Vec<String> = requests.iter().map(|(code, ..)| code.to_string()).collect();
        assert!(
            codes.contains(&"404".into()) && codes.contains(&"9xx".into()),
            "{codes:?}"
        );
    }
}
