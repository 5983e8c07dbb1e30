//! What the classes of stores count.

use std::{fmt, sync::Arc};

use prometheus_client::{encoding::DescriptorEncoder, metrics::MetricType};
use shoal_stores::Connections;

use super::registry::{counter, gauge, histogram};
use crate::stores::Class;

/// Everything of all classes. There are series only for what happened.
pub(super) fn encode(classes: &[Arc<Class>], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(
        "shoal_store_operations",
        "Operations of guests on stores, by class, by what was done and by how it ended",
        None,
        MetricType::Counter,
    )?;
    for class in classes {
        for (operation, outcome, count) in class.counts().outcomes() {
            let labels = [
                ("class", class.name()),
                ("op", operation.as_str()),
                ("result", outcome.as_str()),
            ];
            counter(metric.encode_family(&labels)?, count)?;
        }
    }
    let mut metric = encoder.encode_descriptor(
        "shoal_store_operation_duration_seconds",
        "Time that the backend of a class took for an operation; refused ones do not count",
        None,
        MetricType::Histogram,
    )?;
    for class in classes {
        for (operation, durations) in class.counts().durations() {
            let labels = [("class", class.name()), ("op", operation.as_str())];
            histogram(metric.encode_family(&labels)?, durations)?;
        }
    }
    connections(classes, encoder)
}

fn connections(classes: &[Arc<Class>], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(
        "shoal_store_connections",
        "Connections of this node to the servers of a class: open, busy of these, and most that may be open",
        None,
        MetricType::Gauge,
    )?;
    for class in classes {
        let Some(Connections { open, busy, most }) = class.connections() else {
            continue;
        };
        for (state, count) in [("open", open), ("busy", busy), ("limit", most)] {
            let labels = [("class", class.name()), ("state", state)];
            gauge(metric.encode_family(&labels)?, count as u64)?;
        }
    }
    Ok(())
}
