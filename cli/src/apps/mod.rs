//! `shoal apps`: what runs where, and why not.

mod row;
mod table;

use std::io::Write as _;

use anyhow::Result;
use kube::Api;
use kube::api::ListParams;
use shoal_crds::App;

use crate::cluster::{Cluster, block_on};

use row::Row;

/// Objects asked for at once: a list of thousands comes in pages.
const PAGE: u32 = 500;

/// List the apps of a cluster: on which nodes they run, and why one is not ready.
#[derive(clap::Args)]
pub struct Arguments {
    /// Namespace (default: the context's).
    #[arg(short, long, conflicts_with = "all_namespaces")]
    namespace: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Context of the kubeconfig (default: the current one).
    #[arg(long)]
    context: Option<String>,
}

/// How the list is written.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// For programs: an array of objects.
    Json,
}

/// Runs the command.
///
/// # Errors
/// No cluster is configured, it cannot be reached, or it refuses.
pub fn run(arguments: &Arguments) -> Result<()> {
    let (namespace, apps) = block_on(list(arguments))?;
    let rows: Vec<Row> = apps.iter().map(Row::of).collect();
    let text = match arguments.output {
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&rows)?),
        Output::Table if rows.is_empty() => {
            let place =
                namespace.map_or("any namespace".into(), |name| format!("namespace {name}"));
            eprintln!("No apps in {place}.");
            return Ok(());
        }
        Output::Table => table::text(
            &rows,
            arguments.all_namespaces,
            k8s_openapi::jiff::Timestamp::now(),
        ),
    };
    // A reader that has seen enough (`| head`) is no error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// The namespace asked (none: all) and its apps, by namespace and name.
async fn list(arguments: &Arguments) -> Result<(Option<String>, Vec<App>)> {
    let cluster = Cluster::of_context(arguments.context.clone()).await?;
    let namespace = (!arguments.all_namespaces).then(|| {
        arguments
            .namespace
            .clone()
            .unwrap_or_else(|| cluster.namespace.clone())
    });
    let client = cluster.client.clone();
    let api: Api<App> = match &namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let mut apps = Vec::new();
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = api
            .list(&page)
            .await
            .map_err(|error| cluster.explained(error, "Apps: install manifests/crds.yaml first"))?;
        apps.extend(list.items);
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => break,
        }
    }
    apps.sort_by(|a, b| {
        let key = |app: &App| (app.metadata.namespace.clone(), app.metadata.name.clone());
        key(a).cmp(&key(b))
    });
    Ok((namespace, apps))
}
