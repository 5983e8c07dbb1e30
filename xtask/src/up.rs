//! `cargo xtask up`: from a checkout to an app that answers.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use shoal_cluster::Cluster;

use crate::answer::Answer;
use crate::binaries::{self, Profile};
use crate::kubectl::Kubectl;
use crate::step::{seconds, step};
use crate::{answer, example, guests, image, install, local};

/// Build Shoal, start a local cluster, install Shoal on it, and run the example app there.
///
/// Run again it leaves alone what is right already. With --context it installs on a cluster of yours
/// instead, whose nodes have the image (see the README for kind).
#[derive(clap::Args)]
pub struct Arguments {
    /// Optimised, as for real clusters. Takes minutes longer to compile.
    #[arg(long)]
    release: bool,
    /// Install on the cluster of this kubeconfig context, instead of starting one.
    #[arg(long)]
    context: Option<String>,
    /// Image that the cluster's nodes have or can pull (default: what `cargo xtask image` makes).
    #[arg(long, requires = "context")]
    image: Option<String>,
    /// Registry (`host:port`, plain HTTP) that the example is pulled from, as seen from the cluster.
    #[arg(long, requires = "context")]
    registry: Option<String>,
    /// The same registry as seen from here, where that differs.
    #[arg(long, requires = "registry")]
    push_to: Option<String>,
}

/// `cargo xtask up`.
///
/// # Errors
/// The step that failed, and why.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let started = Instant::now();
    let profile = Profile::of(arguments.release);
    match &arguments.context {
        None => on_local_cluster(profile)?,
        Some(context) => on_context(context, arguments, profile)?,
    }
    eprintln!("\nall of it took {}", seconds(started.elapsed()));
    Ok(ExitCode::SUCCESS)
}

fn on_local_cluster(profile: Profile) -> Result<()> {
    // Before minutes of building: whether this machine can run a cluster at all.
    shoal_cluster::requirements::check()?;
    let image = image::make(profile)?;
    guests::build()?;
    let cluster = local::up()?;
    local::load(&cluster, &image)?;
    let kubectl = local::kubectl(&cluster);
    install::install(&kubectl, &image.reference)?;
    let registry = cluster.registry();
    example::allow_registry(&kubectl, &registry)?;
    example::push(&binaries::CLI.path(profile), &registry)?;
    let manifest = example::deploy(&kubectl, &registry)?;
    let url = example::url();
    let answer = step(&format!("curl {url} on node2"), |step| {
        let answer = answer::on_node(&cluster, 2, &url)?;
        step.say(answer.status.clone());
        Ok(answer)
    })?;
    tell(&manifest, &answer);
    eprint!("{}", next_local(&cluster, profile));
    Ok(())
}

fn on_context(context: &str, arguments: &Arguments, profile: Profile) -> Result<()> {
    let kubectl = Kubectl::of_context(context);
    step(&format!("Reach the cluster of context {context}"), |_| {
        kubectl
            .text(&["version", "--request-timeout=10s"])
            .map(drop)
    })?;
    let reference = match &arguments.image {
        Some(reference) => reference.clone(),
        None => image::make(profile)?.reference,
    };
    install::install(&kubectl, &reference)?;
    let Some(registry) = &arguments.registry else {
        eprintln!(
            "\nShoal is installed. For the example, name a registry that the cluster and this machine \
             reach:\n  cargo xtask up --context {context} --registry HOST:PORT"
        );
        return Ok(());
    };
    let shoal = binaries::cli(profile)?;
    guests::build()?;
    example::allow_registry(&kubectl, registry)?;
    example::push(&shoal, arguments.push_to.as_ref().unwrap_or(registry))?;
    let manifest = example::deploy(&kubectl, registry)?;
    // A Service's name is of no use outside the cluster, and the pods have no curl.
    let answer = step(
        "Call the example through a forwarded port of its runtime",
        |step| {
            let answer = answer::forwarded(&kubectl, example::NAMESPACE, example::NAME)?;
            step.say(answer.status.clone());
            Ok(answer)
        },
    )?;
    tell(&manifest, &answer);
    eprint!("{}", next_elsewhere(context, profile));
    Ok(())
}

/// What was applied and what came back.
fn tell(manifest: &str, answer: &Answer) {
    println!("\nApplied:\n{}", indented(manifest));
    println!(
        "Answered: {}\n{}",
        answer.status,
        indented(&answer.beginning)
    );
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

fn next_local(cluster: &Cluster, profile: Profile) -> String {
    let registry = cluster.registry();
    format!(
        "Next:
    eval \"$(cargo xtask cluster env)\"      # KUBECONFIG and SHOAL_REGISTRY for this shell
    kubectl get wapp -A
    kubectl get wapp {name} -o yaml
    target/{folder}/shoal apps -A
    cargo xtask cluster curl --node 3 http://{name}.{namespace}/api/entries
    target/{folder}/shoal push examples/{name} {registry}/{name}:mine --insecure
    cargo xtask down
",
        name = example::NAME,
        namespace = example::NAMESPACE,
        folder = profile.folder(),
    )
}

fn next_elsewhere(context: &str, profile: Profile) -> String {
    format!(
        "Next:
    kubectl --context {context} get wapp -A
    target/{folder}/shoal apps -A --context {context}
    cargo xtask down --context {context}
",
        folder = profile.folder(),
    )
}

/// Installs Shoal on the local cluster, without the example: the cluster and the image's reference.
///
/// # Errors
/// As [`run`].
pub fn for_tests(profile: Profile) -> Result<(Cluster, String)> {
    let image = image::make(profile)?;
    let cluster = local::up()?;
    local::load(&cluster, &image)?;
    let kubectl = local::kubectl(&cluster);
    install::install(&kubectl, &image.reference)?;
    example::allow_registry(&kubectl, &cluster.registry())?;
    Ok((cluster, image.reference))
}
