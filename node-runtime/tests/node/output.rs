//! What guests print.

use std::time::Instant;

use crate::support::{TestNode, app, client::*, eventually};

#[tokio::test]
async fn lines_name_app_component_and_request() {
    let node = TestNode::start();
    let [hostile] = node.serve([app("noisy", "hostile")]).await;
    let headers = [("x-request-id", "request-1")];
    let answer = send(hostile, request("GET", "/panic", &headers), "").await;
    assert_eq!(answer.header("x-request-id"), "request-1");
    let find = || {
        node.output
            .records()
            .into_iter()
            .find(|r| r["message"].as_str().unwrap().contains("as asked"))
    };
    eventually("the panic is printed", async || find().is_some()).await;
    let record = find().unwrap();
    assert_eq!(record["namespace"], "test");
    assert_eq!(record["app"], "noisy");
    assert_eq!(record["component"], "noisy");
    assert_eq!(record["request"], "request-1");
    assert_eq!(record["stream"], "stderr");
}

#[tokio::test]
async fn ten_megabytes_of_output_are_mostly_dropped_and_block_nobody() {
    let node = TestNode::start();
    let [noisy, hello] = node
        .serve([app("noisy", "hostile"), app("hello", "hello")])
        .await;
    let began = Instant::now();
    for path in ["/stdout", "/stdout/line", "/stderr"] {
        assert_eq!(get(noisy, path).await.status, 200, "{path}");
    }
    assert_eq!(get(hello, "/").await.status, 200);
    let records = node.output.records();
    let bytes: usize = records
        .iter()
        .map(|r| r["message"].as_str().unwrap().len())
        .sum();
    // As much as may come at once, and in each second.
    let most = (1 << 20) + (256 << 10) * (began.elapsed().as_secs() as usize + 1);
    assert!(bytes < most, "{bytes} bytes were kept");
    assert!(
        records
            .iter()
            .all(|r| r["message"].as_str().unwrap().len() <= 16 << 10)
    );
    let told = || {
        node.output
            .records()
            .iter()
            .any(|r| r["dropped"].as_u64() > Some(0))
    };
    eventually("the log says how many lines were dropped", async || {
        get(noisy, "/panic").await;
        told()
    })
    .await;
}
