//! What the builder counts.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use shoal_artifact::{Reason, Refusal};

use crate::compile::Job;

/// Counters of one builder. Clones count the same.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    compiles: Family<CompileLabels, Counter>,
    compile_seconds: Histogram,
    requests: Family<RequestLabels, Counter>,
    cache_bytes: Gauge,
    cache_files: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CompileLabels {
    job: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    request: &'static str,
    outcome: &'static str,
}

const SUCCESS: &str = "Success";
const BUCKETS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 240.0];

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let compiles = Family::default();
        let compile_seconds = Histogram::new(BUCKETS);
        let requests = Family::default();
        let (cache_bytes, cache_files) = (Gauge::default(), Gauge::default());
        let text = "Compile children that ended, by what they did and the reason of a refusal";
        registry.register("shoal_builder_compiles", text, compiles.clone());
        registry.register_with_unit(
            "shoal_builder_compile",
            "Time of a compile child",
            Unit::Seconds,
            compile_seconds.clone(),
        );
        let text = "Requests, by what was asked and the reason of a refusal";
        registry.register("shoal_builder_requests", text, requests.clone());
        let text = "What the cache keeps";
        registry.register_with_unit(
            "shoal_builder_cache",
            text,
            Unit::Bytes,
            cache_bytes.clone(),
        );
        registry.register(
            "shoal_builder_cache_files",
            "Files in the cache",
            cache_files.clone(),
        );
        let registry = Arc::new(registry);
        Self {
            registry,
            compiles,
            compile_seconds,
            requests,
            cache_bytes,
            cache_files,
        }
    }
}

impl Metrics {
    /// The text that Prometheus reads.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// How many children have compiled something, whatever came of it.
    pub fn compiles(&self) -> u64 {
        let lines = self.text();
        let values = lines
            .lines()
            .filter(|line| line.starts_with("shoal_builder_compiles_total{job=\"compile\""));
        values
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    pub(crate) fn compiled(&self, job: &Job, failed: Option<Reason>, took: Duration) {
        let job = match job {
            Job::Componentise => "componentise",
            Job::Compile(_) => "compile",
        };
        self.compiles
            .get_or_create(&CompileLabels {
                job,
                outcome: outcome(failed),
            })
            .inc();
        self.compile_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn asked<T>(&self, request: &'static str, result: &Result<T, Refusal>) {
        let labels = RequestLabels {
            request,
            outcome: outcome(result.as_ref().err().map(|refusal| refusal.reason)),
        };
        self.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn cached(&self, bytes: u64, files: u64) {
        self.cache_bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.cache_files
            .set(i64::try_from(files).unwrap_or(i64::MAX));
    }
}

fn outcome(failed: Option<Reason>) -> &'static str {
    failed.map_or(SUCCESS, Reason::as_str)
}
