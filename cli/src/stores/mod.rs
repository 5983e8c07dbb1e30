//! `shoal stores`: what there is of data in a cluster, whose it is, and moving it.

mod api;
mod export;
mod import;
mod list;
mod orphans;
mod row;

use std::io::Write as _;

use anyhow::Result;
use serde::Serialize;

use crate::cluster::{Cluster, block_on};

/// See whose data is where in a cluster, take it out and bring it in, and look after what nobody owns any more.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Context of the kubeconfig (default: the current one).
    #[arg(long, global = true)]
    context: Option<String>,
}

#[derive(clap::Subcommand)]
enum Command {
    List(list::List),
    Usage(list::Usage),
    Orphans(orphans::Orphans),
    Adopt(orphans::Adopt),
    Purge(orphans::Purge),
    Export(export::Arguments),
    Import(import::Arguments),
}

/// Which namespaces are meant.
#[derive(clap::Args)]
struct Place {
    /// Namespace (default: the context's).
    #[arg(short, long, conflicts_with = "all_namespaces")]
    namespace: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
}

impl Place {
    /// The namespace; `None`: all.
    fn namespace(&self, cluster: &Cluster) -> Option<String> {
        (!self.all_namespaces).then(|| or_default(self.namespace.as_ref(), cluster))
    }
}

fn or_default(namespace: Option<&String>, cluster: &Cluster) -> String {
    namespace.unwrap_or(&cluster.namespace).clone()
}

/// How a list is written.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
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
    block_on(async {
        let cluster = Cluster::of_context(arguments.context.clone()).await?;
        match &arguments.command {
            Command::List(command) => command.run(&cluster).await,
            Command::Usage(command) => command.run(&cluster).await,
            Command::Orphans(command) => command.run(&cluster).await,
            Command::Adopt(command) => command.run(&cluster).await,
            Command::Purge(command) => command.run(&cluster).await,
            Command::Export(command) => command.run(&cluster).await,
            Command::Import(command) => command.run(&cluster).await,
        }
    })
}

/// Writes a list: `table` makes it text, `none` is said where there is nothing.
fn write<T: Serialize>(
    rows: &[T],
    output: Output,
    none: &str,
    table: impl Fn(&[T]) -> String,
) -> Result<()> {
    let text = match output {
        Output::Json => format!("{}\n", serde_json::to_string_pretty(rows)?),
        Output::Table if rows.is_empty() => {
            eprintln!("{none}");
            return Ok(());
        }
        Output::Table => table(rows),
    };
    // A reader that has seen enough (`| head`) is no error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}
