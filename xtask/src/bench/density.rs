//! What apps cost a node, and how soon they answer when their code is not mapped.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::row::Row;
use crate::cargo::cargo;
use crate::step::step;
use crate::{guests, process, workspace};

/// Runs the bench `density` of `shoal-runtime`.
///
/// # Errors
/// It does not build or breaks off.
pub fn measure() -> Result<Vec<Row>> {
    guests::build()?;
    let folder = workspace::target().join("bench");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    step("Build the bench of density", |_| {
        process::run("build-bench-density", bench().arg("--no-run"))
    })?;
    let said = step("10,000 apps on one node", |_| {
        let mut run = bench();
        run.arg("--").arg("--folder").arg(&folder);
        process::output(&mut run, None)
    })?;
    let figures: Value =
        serde_json::from_str(&said).with_context(|| format!("no figures: {said:?}"))?;
    rows(&figures).with_context(|| format!("a figure is missing: {figures}"))
}

fn bench() -> Command {
    let mut command = cargo();
    command.args(["bench", "--package", "shoal-runtime", "--bench", "density"]);
    command
}

fn rows(figures: &Value) -> Option<Vec<Row>> {
    let number = |path: &str| figures.pointer(path)?.as_f64();
    let (apps, mapped) = (number("/apps")?, number("/mapped")?);
    let errors = number("/errors")?;
    let listening = number("/listening_kib")?;
    let kept = number("/mapped_kib")?;
    let idle = number("/idle_share")? * 100.0;
    let (cold, cold_late) = (number("/cold_us/p50")?, number("/cold_us/p99")?);
    let (warm, warm_late) = (number("/warm_us/p50")?, number("/warm_us/p99")?);
    let (scrape, text) = (number("/scrape/cpu_ms")?, number("/scrape/bytes")? / 1024.0);
    let restart = number("/restart_ms")? / 1000.0;
    let all = format!("{apps} apps, each with a component of its own");
    Some(vec![
        Row {
            what: "apps on one node".into(),
            bar: "10,000, all reachable",
            stretch: "22,000",
            met: Some(errors == 0.0),
            result: format!("{apps}, {errors} errors"),
            how: format!(
                "one request to each; {} kernel mappings with {mapped} mapped",
                number("/mappings")?
            ),
        },
        Row {
            what: "memory of an app that listens".into(),
            bar: "<= 12 KiB anonymous",
            stretch: "6 KiB",
            met: Some(listening <= 12.0),
            result: format!("{listening:.1} KiB"),
            how: all.clone(),
        },
        Row {
            what: "memory of a mapped app".into(),
            bar: "<= 110 KiB anonymous",
            stretch: "64 KiB",
            met: Some(kept <= 110.0),
            result: format!("{kept:.1} KiB"),
            how: format!("on top of one that listens; {mapped} apps after a request each"),
        },
        Row {
            what: "processor with idle apps".into(),
            bar: "< 1 % of a core",
            stretch: "0.2 %",
            met: Some(idle < 1.0),
            result: format!("{idle:.2} %"),
            how: all.clone(),
        },
        Row {
            what: "first request, not mapped".into(),
            bar: "p50 < 1 ms, p99 < 5 ms",
            stretch: "p99 < 1 ms",
            met: Some(cold < 1000.0 && cold_late < 5000.0),
            result: format!("{cold:.0} / {cold_late:.0} us"),
            how: format!("{mapped} apps once, a connection each"),
        },
        Row {
            what: "first request on a connection, mapped".into(),
            bar: "p99 < 1 ms",
            stretch: "p50 < 150 us",
            met: Some(warm_late < 1000.0),
            result: format!("{warm:.0} / {warm_late:.0} us"),
            how: format!("{mapped} apps once more, a connection each"),
        },
        Row {
            what: "one look at /metrics".into(),
            bar: "< 100 ms of processor, < 3 MiB",
            met: Some(scrape < 100.0 && text < 3072.0),
            result: format!("{scrape:.0} ms, {text:.0} KiB"),
            how: format!("{apps} apps, {mapped} and more with requests"),
            ..Row::default()
        },
        Row {
            what: "restart, code on the node".into(),
            bar: "all listening < 5 s",
            stretch: "1 s",
            met: Some(restart < 5.0),
            result: format!("{restart:.1} s"),
            how: format!("{mapped} apps, nobody who gives code"),
        },
    ])
}
