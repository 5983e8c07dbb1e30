//! `shoal up`: serves an app on this machine, with the same stores as in a cluster.

mod bindings;
mod code;
mod declared;
mod fields;
mod input;
mod objects;
mod output;
mod placed;
mod prepare;
mod progress;
mod resolve;
mod state;
mod store_flag;
mod stores;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use shoal_runtime::{AppReport, Assignment, Assignments, Node, NodeConfig, State};

use input::Input;
use state::StateFolder;

/// Requests under way get so long to end after Ctrl-C.
const DRAIN: Duration = Duration::from_secs(10);
/// Code that is built loads in milliseconds: longer means that something is wrong.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// Serve an app on this machine, with its stores kept in `.shoal/` beside the manifest.
///
/// Prints `Serving http://ADDRESS` on standard output once the app answers. Ctrl-C ends it.
#[derive(clap::Args)]
pub struct Arguments {
    /// An App manifest (`app.yaml`), a `spin.toml`, a component (`app.wasm`), a folder with one of these,
    /// or an OCI image.
    #[arg(default_value = ".", value_name = "FILE|FOLDER|IMAGE")]
    what: String,
    /// Address to listen on; further apps of a manifest get the ports after it.
    #[arg(long, default_value = "127.0.0.1:3000", value_name = "IP:PORT")]
    listen: SocketAddr,
    /// Folder for stores and compiled code (default: `.shoal` beside the manifest).
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Environment variable of the apps, beside those of manifest and image.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Another place for the key-value store that apps open as LABEL, with the data of all apps under that
    /// label: redis://..., rediss://..., postgres://..., sqlite:FOLDER or memory:. The folder is made if it is not
    /// there (sqlite:data.db makes a folder of that name). SQL databases and objects of that label stay where they
    /// are.
    #[arg(long, value_name = "LABEL=URL")]
    store: Vec<store_flag::StoreFlag>,
    /// Value of a variable of the apps, whatever the manifest says of it.
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it is to be NAME=VALUE".to_owned()),
    }
}

/// Runs the command, until it is ended.
///
/// # Errors
/// The app cannot be read, does not build or does not start.
pub fn run(arguments: Arguments) -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "error".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    let input = input::read(&arguments.what)?;
    for object in &input.ignored {
        eprintln!("left out: {object}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let result = runtime.block_on(serve(&arguments, &input));
    // A compile that was interrupted is not waited for.
    runtime.shutdown_background();
    result
}

async fn serve(arguments: &Arguments, input: &Input) -> Result<()> {
    let folder = arguments
        .state
        .clone()
        .unwrap_or_else(|| input.folder.join(".shoal"));
    let state = StateFolder::open(&folder)?;
    let builder = state.builder()?;
    let config = NodeConfig {
        output: Arc::new(output::Lines::start()?),
        linger: Duration::ZERO,
        ..NodeConfig::new(state.node())?
    };
    let code = Arc::new(code::Local::new(builder.clone()));
    let classes = state.stores()?;
    let node = Node::start(config, code, Arc::clone(&classes))?;

    let mut ended = std::pin::pin!(ended()?);
    let mut kept = state.kept_stores()?;
    let mut stores = stores::Stores::new(&arguments.store, &input.declared, &mut kept);
    let prepared = prepare::all(&builder, &mut stores, input, arguments, node.engine_key());
    let assignments = tokio::select! {
        assignments = prepared => assignments?,
        () = &mut ended => return Ok(()),
    };
    tokio::select! {
        opened = progress::shown("Opening stores", stores.open(&classes)) => opened?,
        () = &mut ended => return Ok(()),
    }
    eprint!("{}", stores.settle()?);
    let set = assignments.iter().cloned();
    node.apply(Assignments {
        code_keys: builder.code_keys(),
        ..Assignments::all(set)
    });
    let serving = tokio::select! {
        serving = ready(&node, assignments.len()) => serving?,
        () = &mut ended => return Ok(()),
    };
    tell(&assignments, &serving);

    ended.await;
    eprintln!("ending: requests under way are finished (Ctrl-C again ends at once)");
    tokio::select! {
        () = node.shutdown(DRAIN) => {}
        () = again() => {}
    }
    Ok(())
}

/// Waits until all apps answer.
async fn ready(node: &Node, count: usize) -> Result<Vec<AppReport>> {
    let mut reader = node.reports();
    let all = async {
        loop {
            let reports = reader.all();
            for report in &reports {
                if report.state == State::Failed {
                    bail!("app {} does not start: {}", report.app.name, report.message);
                }
            }
            let serving =
                |report: &AppReport| report.state == State::Ready && report.address.is_some();
            if reports.len() == count && reports.iter().all(serving) {
                return Ok(reports);
            }
            reader.changed().await;
        }
    };
    tokio::time::timeout(STARTS_WITHIN, all)
        .await
        .context("the code does not load within a minute")?
}

/// In the order of the manifest: a line for each address, and below it what is served there.
fn tell(assignments: &[Assignment], reports: &[AppReport]) {
    let mut text = String::new();
    for assignment in assignments {
        let report = reports.iter().find(|report| report.app == assignment.app);
        let Some(address) = report.and_then(|report| report.address) else {
            continue;
        };
        text.push_str(&format!("Serving http://{address}\n"));
        for component in &assignment.components {
            for route in &component.routes {
                text.push_str(&format!("  {route}  {}\n", component.name));
            }
        }
    }
    // Whoever reads this may have gone; the app serves on.
    let _ = std::io::stdout().write_all(text.as_bytes());
    let _ = std::io::stdout().flush();
}

/// Ctrl-C or SIGTERM.
fn ended() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

async fn again() {
    // Without a handler nothing ends early; the deadline holds all the same.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_has_a_name_and_perhaps_an_empty_value() {
        assert_eq!(variable("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert_eq!(variable("A="), Ok(("A".into(), String::new())));
        assert!(variable("A").is_err() && variable("=b").is_err());
    }
}
