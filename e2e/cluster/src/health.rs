//! How the cluster and each of its daemons say that they are ready.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::address::{DNS_READY_PORT, ETCD_CLIENT_PORT, NodeNumber, private_registry, registry};
use crate::layout::Layout;
use crate::pki::Pki;
use crate::process::last_lines;
use crate::state::State;
use crate::{api, apiserver, dns, etcd, http, registry as registries, wait};

/// Whether the daemon called `name` is ready; if not, why. Those that answer no question are
/// ready when they run.
///
/// # Errors
/// Why it is not ready.
pub fn daemon(pki: &Pki, name: &str) -> std::result::Result<(), String> {
    let asked = |address: String, path: &str| match http::status(&address, path)? {
        // A registry that asks for credentials is ready to ask.
        200 | 401 => Ok(()),
        other => Err(format!("{address}{path} answers {other}")),
    };
    match name {
        etcd::NAME => asked(format!("127.0.0.1:{ETCD_CLIENT_PORT}"), "/health"),
        apiserver::NAME => api::get(pki, "/readyz")
            .map(drop)
            .map_err(|error| error.to_string()),
        dns::NAME => asked(format!("127.0.0.1:{DNS_READY_PORT}"), "/ready"),
        registries::NAME => asked(registry(), "/v2/"),
        registries::PRIVATE_NAME => asked(private_registry(), "/v2/"),
        _ => Ok(()),
    }
}

/// Whether the whole cluster is ready; if not, why.
///
/// # Errors
/// The first thing that is not ready.
pub fn cluster(pki: &Pki) -> std::result::Result<(), String> {
    let asked = [
        apiserver::NAME,
        dns::NAME,
        registries::NAME,
        registries::PRIVATE_NAME,
    ];
    for name in asked {
        daemon(pki, name).map_err(|why| format!("{name}: {why}"))?;
    }
    let list = api::get_json(pki, "/api/v1/nodes").map_err(|error| format!("{error:#}"))?;
    let wanted: Vec<_> = NodeNumber::all().map(NodeNumber::name).collect();
    api::nodes_ready(&list, &wanted)
}

/// Waits until `look` finds nothing wrong, and fails at once when a daemon ends.
///
/// # Errors
/// A daemon has ended, or time is up: the error has the last lines of `log_of`'s log.
pub fn wait_for(
    layout: &Layout,
    what: &str,
    limit: Duration,
    log_of: &str,
    mut look: impl FnMut() -> std::result::Result<(), String>,
) -> Result<()> {
    let log = layout.logs().join(format!("{log_of}.log"));
    wait::until(what, limit, || {
        if let Some(dead) = State::read(layout).unwrap_or_default().dead().next() {
            anyhow::bail!(dead.obituary());
        }
        Ok(look())
    })
    .with_context(|| {
        format!(
            "{log_of} last wrote to {}:\n{}",
            log.display(),
            last_lines(&log, 12)
        )
    })
}
