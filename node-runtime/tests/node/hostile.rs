//! Guests that misbehave: the client gets a plain error, the neighbours answer all the while.

use std::{net::SocketAddr, time::Duration};

use crate::support::{LONG, TestNode, app, client::*, eventually, limited};

async fn both(node: &TestNode) -> (SocketAddr, SocketAddr) {
    let hostile = limited("hostile", "hostile", |l| {
        // None of them comes to that.
        l.response_start = 2 * LONG;
        l.idle = Duration::from_millis(500);
    });
    let [hostile, hello] = node.serve([hostile, app("hello", "hello")]).await;
    (hostile, hello)
}

#[tokio::test]
async fn a_guest_that_dies_costs_its_request_a_500() {
    let node = TestNode::start();
    let (hostile, hello) = both(&node).await;
    for path in [
        "/trap",
        "/panic",
        "/recurse",
        "/exit",
        "/error",
        "/random/99999999",
        "/handles/99999",
    ] {
        let answer = get(hostile, path).await;
        assert_eq!(answer.status, 500, "{path}: {answer:?}");
        assert_eq!(
            answer.header("proxy-status"),
            "shoal; error=proxy_internal_error",
            "{path}"
        );
        assert_eq!(get(hello, "/").await.status, 200);
    }
    let metrics = node.node.metrics();
    for reason in ["unreachable", "stack-overflow", "exit"] {
        let line = format!("shoal_app_traps_total{{reason=\"{reason}\"}}");
        assert!(metrics.contains(&line), "{line} is not in {metrics}");
    }
}

#[tokio::test]
async fn a_guest_without_a_response_is_a_502() {
    let node = TestNode::start();
    let (hostile, _) = both(&node).await;
    let answer = get(hostile, "/no-response").await;
    assert_eq!(answer.status, 502);
    assert_eq!(
        answer.header("proxy-status"),
        "shoal; error=http_response_incomplete"
    );
}

#[tokio::test]
async fn a_broken_response_never_looks_whole_and_never_hangs() {
    let node = TestNode::start();
    let (hostile, hello) = both(&node).await;
    for path in ["/broken", "/broken/drop", "/broken/trap"] {
        if let Some(answer) = try_send(hostile, request("GET", path, &[]), "").await {
            let refused = answer.status == 502 || answer.status == 500;
            assert!(refused || answer.broken, "{path}: {answer:?}");
        }
        assert_eq!(get(hello, "/").await.status, 200);
    }
    let long = get(hostile, "/broken/long").await;
    assert!(
        long.status == 502 || long.broken || long.body.len() == 10,
        "{long:?}"
    );
}

#[tokio::test]
async fn guests_that_compute_without_end_leave_their_neighbours_their_turn() {
    let node = TestNode::start();
    let (hostile, hello) = both(&node).await;
    let spinning = spinners(hostile, "/spin", 8).await;
    node.until_running(8).await;
    // None of those ends before it is answered.
    for _ in 0..30 {
        assert_eq!(get(hello, "/").await.status, 200);
    }
    drop(spinning);
    node.until_running(0).await;
}

#[tokio::test]
async fn headers_that_only_a_host_may_set_are_refused() {
    let node = TestNode::start();
    let (hostile, _) = both(&node).await;
    let answer = get(hostile, "/bad-headers").await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains("taken"), "{}", answer.text());
    let many = get(hostile, "/big-headers").await;
    let bytes: usize = many
        .headers
        .iter()
        .map(|(n, v)| n.as_str().len() + v.len())
        .sum();
    assert!(bytes < 256 << 10, "{bytes} bytes of headers");
}

#[tokio::test]
async fn what_a_guest_of_an_earlier_request_left_is_not_seen() {
    let node = TestNode::start();
    let [kv] = node.serve([app("kv", "hostile")]).await;
    for _ in 0..50 {
        assert_eq!(get(kv, "/alloc/1").await.status, 200);
    }
    eventually("everything is given back", async || {
        let metrics = node.node.metrics();
        let used = |resource: &str| {
            let start = format!("shoal_runtime_budget{{resource=\"{resource}\",what=\"used\"}} ");
            metrics
                .lines()
                .find_map(|line| line.strip_prefix(&start))
                .map(str::to_owned)
        };
        used("instances").as_deref() == Some("0") && used("memory_bytes").as_deref() == Some("0")
    })
    .await;
}
