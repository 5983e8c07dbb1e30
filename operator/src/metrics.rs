//! What the operator counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Labels of `shoal_operator_writes_total`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct WriteLabels {
    /// Kind of the object: `Service`, `EndpointSlice`, `App`, ...
    pub kind: &'static str,
    /// `create`, `update`, `patch` or `delete`.
    pub op: &'static str,
}

/// Labels of `shoal_operator_queue_depth`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct QueueLabels {
    /// `remove`, `add` or `cosmetic`.
    pub priority: &'static str,
}

/// All metrics of the operator.
pub struct Metrics {
    registry: Registry,
    /// Writes that the API server accepted.
    pub writes: Family<WriteLabels, Counter>,
    /// Writes that failed, by kind and op.
    pub write_errors: Family<WriteLabels, Counter>,
    /// Apps that wait in the write queue.
    pub queue_depth: Family<QueueLabels, Gauge>,
    /// Streams from runtimes that are open.
    pub streams: Gauge,
    /// Apps known.
    pub apps: Gauge,
    /// 1 while this replica leads.
    pub leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let writes = Family::<WriteLabels, Counter>::default();
        registry.register(
            "shoal_operator_writes",
            "Writes to the API server",
            writes.clone(),
        );
        let write_errors = Family::<WriteLabels, Counter>::default();
        registry.register(
            "shoal_operator_write_errors",
            "Writes that the API server refused or did not answer in time",
            write_errors.clone(),
        );
        let queue_depth = Family::<QueueLabels, Gauge>::default();
        registry.register(
            "shoal_operator_queue_depth",
            "Apps whose writes wait, by priority of their most urgent one",
            queue_depth.clone(),
        );
        let streams = Gauge::default();
        registry.register(
            "shoal_operator_streams",
            "Open streams from runtimes",
            streams.clone(),
        );
        let apps = Gauge::default();
        registry.register("shoal_operator_apps", "Apps known", apps.clone());
        let leader = Gauge::default();
        registry.register(
            "shoal_operator_leader",
            "1 while this replica leads",
            leader.clone(),
        );
        Self {
            registry,
            writes,
            write_errors,
            queue_depth,
            streams,
            apps,
            leader,
        }
    }
}

impl Metrics {
    /// Counts one accepted write.
    pub fn wrote(&self, kind: &'static str, op: &'static str) {
        self.writes.get_or_create(&WriteLabels { kind, op }).inc();
    }

    /// Counts one failed write.
    pub fn write_failed(&self, kind: &'static str, op: &'static str) {
        self.write_errors
            .get_or_create(&WriteLabels { kind, op })
            .inc();
    }

    /// The text exposition.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_counted_under_the_documented_name() {
        let metrics = Metrics::default();
        metrics.wrote("Service", "create");
        let text = metrics.render();
        assert!(
            text.contains(r#"shoal_operator_writes_total{kind="Service",op="create"} 1"#),
            "{text}"
        );
    }
}
