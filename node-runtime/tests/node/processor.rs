//! The processor is shared between apps, whatever each does with it.

use std::net::SocketAddr;

use crate::support::{
    TestNode, app, app_ref,
    client::{get, spinners},
    eventually, limited,
};

/// Processor seconds of an app's guests.
fn seconds(node: &TestNode, app: &str) -> f64 {
    let metrics = node.node.metrics();
    let app = app_ref(app);
    let name = format!(
        "shoal_app_cpu_seconds_total{{namespace=\"{}\",app=\"{}\"}} ",
        app.namespace, app.name
    );
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name.as_str()));
    line.map_or(0.0, |seconds| seconds.parse().unwrap())
}

/// Both compute without end, with so many requests each; what `one` had for each second of `other`, once they had
/// some.
async fn compete(
    node: &TestNode,
    one: (&str, SocketAddr, usize),
    other: (&str, SocketAddr, usize),
) -> f64 {
    // An app has series once it has answered.
    for (_, address, _) in [one, other] {
        get(address, "/no-response").await;
    }
    let _first = spinners(one.1, "/spin", one.2).await;
    let _second = spinners(other.1, "/spin", other.2).await;
    node.until_running(u32::try_from(one.2 + other.2).unwrap())
        .await;
    let before = [one.0, other.0].map(|app| seconds(node, app));
    let had = || {
        [
            seconds(node, one.0) - before[0],
            seconds(node, other.0) - before[1],
        ]
    };
    eventually("they had two seconds", async || {
        had().iter().sum::<f64>() > 2.0
    })
    .await;
    let [one, other] = had();
    one / other
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_requests_that_compute_have_the_part_of_one_app() {
    let node = TestNode::with(|config| config.threads = 1);
    let [greedy, modest] = node
        .serve([app("greedy", "hostile"), app("modest", "hostile")])
        .await;
    let ratio = compete(&node, ("greedy", greedy, 100), ("modest", modest, 1)).await;
    assert!((0.8..1.25).contains(&ratio), "{ratio}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_has_its_part_by_the_weight_of_its_limit_and_the_limit_changes_live() {
    let node = TestNode::with(|config| config.threads = 1);
    let light = limited("light", "hostile", |limits| limits.cpu = 100);
    let heavy = limited("heavy", "hostile", |limits| limits.cpu = 400);
    let [light, heavy] = node.serve([light, heavy]).await;
    let ratio = compete(&node, ("heavy", heavy, 2), ("light", light, 2)).await;
    assert!((3.0..5.0).contains(&ratio), "{ratio}");
    node.until_running(0).await;

    let mut lighter = limited("heavy", "hostile", |limits| limits.cpu = 100);
    lighter.generation.push_str("-of-less");
    let same = limited("light", "hostile", |limits| limits.cpu = 100);
    let [_, heavy] = node.serve([same, lighter]).await;
    let ratio = compete(&node, ("heavy", heavy, 2), ("light", light, 2)).await;
    assert!((0.8..1.25).contains(&ratio), "{ratio}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_asks_seldom_is_answered_before_those_who_compute() {
    let node = TestNode::with(|config| config.threads = 1);
    let [greedy, modest] = node
        .serve([app("greedy", "hostile"), app("modest", "hello")])
        .await;
    get(greedy, "/no-response").await;
    get(modest, "/").await;
    let _spinning = spinners(greedy, "/spin", 100).await;
    node.until_running(100).await;
    let before = seconds(&node, "greedy");
    const REQUESTS: u32 = 50;
    for _ in 0..REQUESTS {
        assert_eq!(get(modest, "/").await.status, 200);
    }
    // For each of the other's a few turns of a millisecond, not one of each that computes.
    let turns = (seconds(&node, "greedy") - before) * 1000.0 / f64::from(REQUESTS);
    assert!(turns < 30.0, "{turns} ms of the others before each answer");
}
