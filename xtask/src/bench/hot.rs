//! Requests per second of one app, beside `wasmtime serve` with the same component.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::row::{Row, median};
use super::server::{Server, free_address};
use super::{peer, server};
use crate::binaries::{self, Profile};
use crate::step::step;
use crate::{guests, process, workspace};

/// How often each side is measured, in turn.
const ROUNDS: usize = 5;
const CONNECTIONS: &str = "-c32";
const SECONDS: &str = "-d5s";

/// Settings of Shoal's own pool (where swap is off), as options of `wasmtime serve`.
const SAME_SETTINGS: [&str; 2] = [
    "-O",
    "pooling-allocator=y,pooling-total-stacks=2000,pooling-memory-keep-resident=1048576,\
     pooling-table-keep-resident=65536,pooling-pagemap-scan=auto",
];

/// A server and what it came to.
struct Side {
    name: &'static str,
    server: Server,
    rates: Vec<f64>,
}

/// Shoal, `wasmtime serve` as it comes, and `wasmtime serve` with Shoal's settings.
///
/// # Errors
/// One of them does not build, start or answer.
pub fn measure() -> Result<Vec<Row>> {
    guests::build()?;
    let hello = workspace::target().join("guests/hello.wasm");
    let wasmtime = peer::wasmtime()?;
    binaries::parts(Profile::Release)?;
    let folder = workspace::target().join("bench");
    let mut sides = [
        side("shoal", |address| shoal(address, &hello, &folder))?,
        side("wasmtime serve", |address| {
            Ok(wasmtime_serve(&wasmtime, address, &hello, &[]))
        })?,
        side("wasmtime serve with the same pool", |address| {
            Ok(wasmtime_serve(&wasmtime, address, &hello, &SAME_SETTINGS))
        })?,
    ];
    step("One hot app, beside wasmtime serve", |_| {
        for _ in 0..ROUNDS {
            for side in &mut sides {
                let rate = requests_per_second(side.server.address())
                    .with_context(|| format!("asking {}", side.name))?;
                side.rates.push(rate);
            }
        }
        Ok(())
    })?;
    let [shoal, default, pooling] = sides.map(|side| median(side.rates).unwrap_or_default());
    Ok(vec![
        row(
            "wasmtime serve with its defaults",
            (">= 1.5 x", 1.5),
            "2.5 x",
            shoal / default,
            [shoal, default],
        ),
        row(
            "wasmtime serve with the same pool settings",
            (">= 1.0 x", 1.0),
            "1.2 x",
            shoal / pooling,
            [shoal, pooling],
        ),
    ])
}

fn row(
    peer: &str,
    (bar, least): (&'static str, f64),
    stretch: &'static str,
    ratio: f64,
    [shoal, other]: [f64; 2],
) -> Row {
    Row {
        what: format!("one hot app, fresh instance per request, beside {peer}"),
        bar,
        stretch,
        met: Some(ratio >= least),
        result: format!("{ratio:.2} x"),
        how: format!(
            "{shoal:.0}/s and {other:.0}/s; wrk, 32 connections, median of {ROUNDS} in turn"
        ),
    }
}

fn side(name: &'static str, command: impl FnOnce(SocketAddr) -> Result<Command>) -> Result<Side> {
    let address = free_address()?;
    let log = name.replace([' ', ','], "-");
    Ok(Side {
        name,
        server: Server::start(&log, address, &mut command(address)?)?,
        rates: Vec::new(),
    })
}

fn wasmtime_serve(program: &Path, address: SocketAddr, guest: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(program);
    // Guests that use Rust's std import wasi:cli.
    command.args(["serve", "-S", "cli"]).args(more);
    command.args(["--addr", &address.to_string()]).arg(guest);
    command
}

fn shoal(address: SocketAddr, guest: &Path, folder: &Path) -> Result<Command> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let file = folder.join("assignments.yaml");
    // JSON is YAML too.
    let apps = json!([{
        "namespace": "bench",
        "name": "hello",
        "port": address.port(),
        "spec": {"image": format!("file:{}", guest.display())},
    }]);
    std::fs::write(&file, apps.to_string())
        .with_context(|| format!("cannot write {}", file.display()))?;
    let metrics = server::free_address()?;
    let mut command = Command::new(binaries::RUNTIME.path(Profile::Release));
    command.arg("--assignments").arg(&file);
    command.arg("--state").arg(folder.join("state"));
    command.args(["--listen-address", &address.ip().to_string()]);
    command.args(["--metrics-address", &metrics.to_string()]);
    Ok(command)
}

/// wrk for a few seconds; every answer has to be good.
fn requests_per_second(address: SocketAddr) -> Result<f64> {
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", CONNECTIONS, SECONDS, &format!("http://{address}/")]);
    let said = process::output(&mut wrk, None).context("wrk is Debian's package of that name")?;
    let good = !said.contains("Non-2xx") && !said.contains("Socket errors");
    ensure!(good, "not every request was answered:\n{said}");
    rate(&said).with_context(|| format!("wrk says no rate:\n{said}"))
}

fn rate(said: &str) -> Option<f64> {
    let line = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("Requests/sec:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_found() {
        assert_eq!(
            rate("  1 threads\nRequests/sec:  12345.67\n"),
            Some(12345.67)
        );
        assert_eq!(rate("nothing"), None);
    }
}
