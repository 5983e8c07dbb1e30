//! The text that `/metrics` answers with.

use std::{
    fmt,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Registry,
};

use super::{
    app::{BUCKETS, Durations},
    stores,
};
use crate::{
    app::{App, NodeContext},
    code::{CodeCache, Resource},
    report::{ReportHub, State},
};

/// All that the node counts.
pub struct Metrics {
    node: Arc<NodeContext>,
    code: Arc<CodeCache>,
    reports: Arc<ReportHub>,
    apps: Mutex<Vec<Weak<App>>>,
    /// Durations of requests to apps that are gone from the node.
    gone: Durations,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    pub(crate) fn new(
        node: Arc<NodeContext>,
        code: Arc<CodeCache>,
        reports: Arc<ReportHub>,
    ) -> Arc<Self> {
        let (apps, gone) = (Mutex::default(), Durations::default());
        Arc::new(Self {
            node,
            code,
            reports,
            apps,
            gone,
        })
    }

    pub(crate) fn add(&self, app: &Arc<App>) {
        let mut apps = self.apps.lock();
        apps.retain(|app| app.strong_count() > 0);
        apps.push(Arc::downgrade(app));
    }

    /// The app is gone: its durations stay in the node's sum, its own series go.
    pub(crate) fn remove(&self, app: &Arc<App>) {
        self.gone.merge(app.metrics.durations());
        self.apps
            .lock()
            .retain(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(app)));
    }

    fn apps(&self) -> Vec<Arc<App>> {
        self.apps.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

/// Everything in the Prometheus text format.
///
/// # Errors
/// Never in practice: writing into memory does not fail.
pub fn encode(metrics: &Arc<Metrics>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Arc::clone(metrics)));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let apps = self.apps();
        let mut metric = encoder.encode_descriptor(
            "shoal_app_requests",
            "Requests to an app, by status code and by who answered",
            None,
            MetricType::Counter,
        )?;
        for app in &apps {
            for (code, source, count) in app.metrics.requests() {
                let (name, code) = (app.name(), code.to_string());
                let labels = [
                    ("namespace", name.namespace.as_str()),
                    ("app", name.name.as_str()),
                    ("code", code.as_str()),
                    ("source", source.as_str()),
                ];
                counter(metric.encode_family(&labels)?, count)?;
            }
        }
        let mut metric = encoder.encode_descriptor(
            "shoal_app_cold_starts",
            "Requests to an app whose code was not mapped",
            None,
            MetricType::Counter,
        )?;
        // As long as it has other series.
        let active = apps.iter().filter(|app| !app.metrics.requests().is_empty());
        for app in active {
            let name = app.name();
            let labels = [
                ("namespace", name.namespace.as_str()),
                ("app", name.name.as_str()),
            ];
            counter(metric.encode_family(&labels)?, app.metrics.cold_starts())?;
        }
        let mut metric = encoder.encode_descriptor(
            "shoal_app_cpu_seconds",
            "Processor time of an app's guests",
            None,
            MetricType::Counter,
        )?;
        for app in apps.iter().filter(|app| !app.metrics.requests().is_empty()) {
            let name = app.name();
            let labels = [
                ("namespace", name.namespace.as_str()),
                ("app", name.name.as_str()),
            ];
            let seconds = Duration::from_nanos(app.share.nanoseconds()).as_secs_f64();
            let mut metric = metric.encode_family(&labels)?;
            metric.encode_counter::<NoLabelSet, f64, u64>(&seconds, None)?;
        }
        self.durations(&apps, &mut encoder)?;
        let mut metric = encoder.encode_descriptor(
            "shoal_app_traps",
            "Guests that died, by reason",
            None,
            MetricType::Counter,
        )?;
        for (reason, count) in self.node.traps.all() {
            counter(metric.encode_family(&[("reason", reason)])?, count)?;
        }
        self.states(&mut encoder)?;
        self.budgets(&mut encoder)?;
        stores::encode(&self.node.stores.all(), &mut encoder)
    }
}

impl Metrics {
    fn durations(&self, apps: &[Arc<App>], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let all = Durations::default();
        all.merge(&self.gone);
        apps.iter()
            .for_each(|app| all.merge(app.metrics.durations()));
        let metric = encoder.encode_descriptor(
            "shoal_app_request_duration_seconds",
            "Time from a request's head to the end of its response, of all apps together",
            None,
            MetricType::Histogram,
        )?;
        histogram(metric, &all)
    }

    fn states(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(
            "shoal_runtime_apps",
            "Apps on this node, by state",
            None,
            MetricType::Gauge,
        )?;
        for (state, count) in self.reports.count_by_state() {
            let labels = [("state", State::as_str(state))];
            gauge(metric.encode_family(&labels)?, count)?;
        }
        Ok(())
    }

    fn budgets(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (slots, memory) = (self.node.engine.slots(), &self.node.memory);
        let code = Resource::ALL.into_iter().flat_map(|resource| {
            let (used, limit) = self.code.room().usage(resource);
            [
                (resource.as_str(), "used", used),
                (resource.as_str(), "limit", limit),
            ]
        });
        let values = [
            ("instances", "used", u64::from(slots.taken())),
            ("instances", "limit", u64::from(slots.total())),
            ("memory_bytes", "used", memory.used()),
            ("memory_bytes", "limit", memory.budget()),
        ];
        let mut metric = encoder.encode_descriptor(
            "shoal_runtime_budget",
            "What the guests of this node use, and may use at most",
            None,
            MetricType::Gauge,
        )?;
        for (resource, what, value) in values.into_iter().chain(code) {
            let labels = [("resource", resource), ("what", what)];
            gauge(metric.encode_family(&labels)?, value)?;
        }
        Ok(())
    }
}

pub(super) fn histogram(mut metric: MetricEncoder<'_>, durations: &Durations) -> fmt::Result {
    let bounds = BUCKETS.iter().copied().chain([f64::INFINITY]);
    let counts = durations.buckets.iter();
    let counts = counts.map(|count| count.load(Ordering::Relaxed));
    let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
    let count = buckets.iter().map(|(_, count)| count).sum();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a sum of microseconds over many years"
    )]
    let seconds = durations.microseconds.load(Ordering::Relaxed) as f64 / 1e6;
    metric.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)
}

pub(super) fn counter(mut metric: MetricEncoder<'_>, count: u64) -> fmt::Result {
    metric.encode_counter::<NoLabelSet, u64, u64>(&count, None)
}

pub(super) fn gauge(mut metric: MetricEncoder<'_>, value: u64) -> fmt::Result {
    metric.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX))
}
