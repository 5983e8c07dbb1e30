//! Key-value operations as guests see them, in process, in `shoal-store` and on other servers.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::row::Row;
use crate::binaries::{self, Profile};
use crate::cargo::cargo;
use crate::step::step;
use crate::{guests, process, workspace};

/// What a guest may wait beside the disk.
const BESIDE_SYNC: f64 = 500.0;
const WRITES_PER_SECOND: f64 = 2000.0;
const TIMES_BARE: f64 = 1.3;

/// Runs the bench `stores` of `shoal-runtime`.
///
/// # Errors
/// Something does not build, or a server does not start: Redis and Postgres are to be installed.
pub fn measure() -> Result<Vec<Row>> {
    guests::build()?;
    let program = binaries::store(Profile::Release)?;
    let folder = workspace::target().join("bench");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    step("Build the bench of stores", |_| {
        process::run("build-bench-stores", bench().arg("--no-run"))
    })?;
    let said = step("Key-value operations, beside bare clients", |_| {
        let mut run = bench();
        run.arg("--").arg("--store-program").arg(&program);
        run.arg("--folder").arg(&folder);
        process::output(&mut run, None)
    })?;
    let figures: Value =
        serde_json::from_str(&said).with_context(|| format!("no figures: {said:?}"))?;
    rows(&figures).with_context(|| format!("a figure is missing: {figures}"))
}

fn bench() -> Command {
    let mut command = cargo();
    command.args(["bench", "--package", "shoal-runtime", "--bench", "stores"]);
    command
}

fn rows(figures: &Value) -> Option<Vec<Row>> {
    let number = |path: &str| figures.pointer(path)?.as_f64();
    let sync = number("/writers/sync")?;
    let mut rows = vec![
        within(figures, "in-process", "get", "p50 < 40 us", 40.0)?,
        within(figures, "in-process", "set", "p50 < 60 us", 60.0)?,
        within(figures, "served", "get", "p50 < 500 us", 500.0)?,
        within(
            figures,
            "served",
            "set",
            "p50 <= one fsync + 500 us",
            sync + BESIDE_SYNC,
        )?,
    ];
    if let Some(set) = rows.last_mut() {
        set.how = format!("one fsync of 4 KiB here is {sync:.0} us; {}", set.how);
    }
    let (rate, writers) = (number("/writers/per_second")?, number("/writers/writers")?);
    rows.push(Row {
        what: format!("key-value, embedded in the cluster: durable sets from {writers} writers"),
        bar: ">= 2,000/s",
        met: Some(rate >= WRITES_PER_SECOND),
        result: format!("{rate:.0}/s"),
        how: "each writer is a request whose guest sets one key after the other".into(),
        ..Row::default()
    });
    for class in ["redis", "postgres"] {
        for operation in ["get", "set"] {
            rows.push(beside(figures, class, operation)?);
        }
    }
    Some(rows)
}

/// A row whose bar is a time, in microseconds.
fn within(
    figures: &Value,
    class: &str,
    operation: &str,
    bar: &'static str,
    most: f64,
) -> Option<Row> {
    let figure = &figures[class][operation];
    let number = |name: &str| figure[name].as_f64();
    let seen = number("guest")?;
    let place = match class {
        "served" => "embedded in the cluster (shoal-store over mutual TLS, durable)",
        _ => "in process (relaxed durability)",
    };
    Some(Row {
        what: format!("key-value {operation} seen by a guest, {place}"),
        bar,
        met: Some(seen <= most),
        result: format!("p50 {seen:.1} us"),
        how: format!(
            "p99 {:.0} us; p50 without the guest {:.1} us; bare rusqlite, same durability, on the \
             calling thread: p50 {:.1} us; {} operations by the guest's own clock, nothing taken off",
            number("guest_p99")?,
            number("without_guest")?,
            number("bare")?,
            number("operations")?,
        ),
        ..Row::default()
    })
}

/// A row whose bar is what a bare client takes.
fn beside(figures: &Value, class: &str, operation: &str) -> Option<Row> {
    let figure = &figures[class][operation];
    let number = |name: &str| figure[name].as_f64();
    let (seen, bare) = (number("guest")?, number("bare")?);
    let (server, client) = match class {
        "redis" => ("Redis", "redis"),
        _ => ("Postgres", "tokio-postgres"),
    };
    Some(Row {
        what: format!("key-value {operation} seen by a guest, on {server}, beside the bare client"),
        bar: "< 1.3 x",
        met: Some(seen < TIMES_BARE * bare),
        result: format!("{:.2} x", seen / bare),
        how: format!(
            "p50 {seen:.0} us and {bare:.0} us of `{client}`, same server, in turn; {:.0} us of them \
             without the guest; p99 {:.0} us",
            number("without_guest")?,
            number("guest_p99")?
        ),
        ..Row::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn figures() -> Value {
        let figure = json!({
            "guest": 50.0, "guest_p99": 90.0, "without_guest": 45.0, "bare": 40.0, "operations": 7,
        });
        let both = json!({"get": figure, "set": figure});
        json!({
            "in-process": both, "served": both, "redis": both, "postgres": both,
            "writers": {"per_second": 1999.0, "writers": 64, "sync": 1000.0},
        })
    }

    #[test]
    fn each_figure_is_held_against_its_bar() {
        let rows = rows(&figures()).unwrap();
        let met: Vec<_> = rows.iter().map(|row| row.met.unwrap()).collect();
        let (missed, reached) = (false, true);
        assert_eq!(met[..5], [missed, reached, reached, reached, missed]);
        assert!(rows[5..].iter().all(|row| row.result == "1.25 x"));
        assert!(rows[5..].iter().all(|row| row.met == Some(reached)));
        assert_eq!(rows.len(), 9);
    }

    #[test]
    fn a_figure_that_is_missing_is_no_row() {
        let mut figures = figures();
        figures["redis"]["get"] = Value::Null;
        assert!(rows(&figures).is_none());
    }
}
