//! `cargo xtask down`.

use std::process::ExitCode;

use anyhow::Result;
use shoal_cluster::Cluster;
use shoal_cluster::progress::Terminal;

use crate::kubectl::Kubectl;
use crate::step::step;
use crate::workspace;

/// Stop the local cluster and remove all that it left on this machine; built programs are kept.
#[derive(Default, clap::Args)]
pub struct Arguments {
    /// Instead, remove Shoal from the cluster of this context: install.yaml's objects. CRDs, Apps and the
    /// store's volume stay.
    #[arg(long)]
    context: Option<String>,
}

/// `cargo xtask down`.
///
/// # Errors
/// Something cannot be removed.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.context {
        None => Cluster::down(&Terminal::default())?,
        Some(context) => {
            let manifest = workspace::root().join("manifests/install.yaml");
            let manifest = format!("--filename={}", manifest.display());
            step("Delete the objects of manifests/install.yaml", |_| {
                let arguments = ["delete", "--ignore-not-found", "--timeout=120s", &manifest];
                Kubectl::of_context(context).text(&arguments).map(drop)
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
