//! From an App to the first answer of its Service, and what that takes of the API server.

use anyhow::{Context as _, Result};

use super::row::{Row, median};
use crate::binaries::{self, Profile};
use crate::cargo::cargo;
use crate::step::step;
use crate::{example, guests, local, process, up, workspace};

/// Apps that are measured. One more goes ahead, for which the code is built.
const COUNT: usize = 20;
const NAMESPACE: &str = "bench";
/// A node that is not the one of the API server's clients.
const NODE: u8 = 2;

/// On the local cluster, which is started if it does not run, and left running. Each App is the
/// example, which keeps its entries in a store of its own.
///
/// # Errors
/// The cluster does not start, or an App does not answer.
pub fn measure() -> Result<Vec<Row>> {
    shoal_cluster::requirements::check()?;
    let (cluster, _) = up::for_tests(Profile::Release)?;
    guests::build()?;
    let registry = cluster.registry();
    example::push(&binaries::CLI.path(Profile::Release), &registry)?;
    let image = format!("{registry}/{}", example::image()?);
    let program = first_answer()?;
    let kubectl = local::kubectl(&cluster);
    kubectl.text(&["create", "namespace", NAMESPACE])?;
    let mark = cluster.audit_log().mark()?;
    let said = step("From an App to the first 200 of its Service", |_| {
        let mut command = cluster.node(NODE)?.command(&program);
        command.env("KUBECONFIG", cluster.kubeconfig());
        command.arg(cluster.kubectl().get_program());
        command.args([NAMESPACE, &image, &COUNT.to_string()]);
        process::output(&mut command, None)
    });
    // Status and slices settle after the first answer; a deletion would hide what they take.
    let settled = said.and_then(|said| {
        kubectl.text(&[
            "wait",
            "--namespace",
            NAMESPACE,
            "--for=condition=Ready",
            "--timeout=60s",
            "apps.shoal.dev",
            "--all",
        ])?;
        Ok((said, cluster.audit_log().writes_since(mark)?))
    });
    kubectl.text(&["delete", "namespace", NAMESPACE])?;
    let (said, writes) = settled?;
    let times: Vec<f64> =
        serde_json::from_str(&said).with_context(|| format!("no list of times: {said:?}"))?;
    let writes = writes
        .iter()
        .filter(|write| write.namespace == NAMESPACE)
        .filter(|write| {
            write
                .user
                .starts_with("system:serviceaccount:shoal-system:")
        })
        .count();
    let middle = median(times.clone()).unwrap_or_default();
    let each = writes as f64 / (COUNT + 1) as f64;
    let most = times.iter().copied().fold(0.0, f64::max);
    Ok(vec![
        Row {
            what: "App applied -> first 200 through the Service (code built)".into(),
            bar: "p50 < 500 ms",
            stretch: "150 ms",
            met: Some(middle < 500.0),
            result: format!("p50 {middle:.0} ms"),
            how: format!("{} Apps in turn, slowest {most:.0} ms", times.len()),
        },
        Row {
            what: "API writes an App (dual stack, one Store)".into(),
            bar: "<= 7",
            stretch: "5",
            met: Some(each <= 7.0),
            result: format!("{each:.2}"),
            how: "by the API server's audit log".into(),
        },
    ])
}

/// The program that runs on a node.
fn first_answer() -> Result<String> {
    const NAME: &str = "e2e-first-answer";
    let mut build = cargo();
    build.args(["build", "--package", "shoal-e2e", "--bin", NAME]);
    process::run(&format!("build-{NAME}"), &mut build)?;
    Ok(workspace::target()
        .join("debug")
        .join(NAME)
        .display()
        .to_string())
}
