//! Guests of WASI 0.3: as those of 0.2 in all that a client or a neighbour sees.

use std::{net::SocketAddr, time::Duration};

use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use shoal_runtime::Limits;
use tokio::net::TcpStream;

use crate::support::{LONG, TestNode, app, client::*, eventually, limited};

const MIB: u64 = 1 << 20;

/// The guest with these limits, and a neighbour.
async fn both(node: &TestNode, change: impl FnOnce(&mut Limits)) -> (SocketAddr, SocketAddr) {
    let guest = limited("guest", "http-p3", change);
    let [guest, hello] = node.serve([guest, app("hello", "hello")]).await;
    (guest, hello)
}

fn impatient(limits: &mut Limits) {
    limits.response_start = Duration::from_secs(3);
    limits.idle = Duration::from_millis(500);
}

fn printed(node: &TestNode, line: &str) -> bool {
    node.output
        .records()
        .iter()
        .any(|record| record["message"] == line)
}

#[tokio::test]
async fn a_guest_answers() {
    let node = TestNode::start();
    let [guest] = node.serve([app("guest", "http-p3")]).await;
    let answer = get(guest, "/").await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (200, "hello from 0.3\n")
    );
    assert!(!answer.broken);
    assert_eq!(answer.header("content-type"), "text/plain");
    assert_eq!(answer.header("proxy-status"), "");
    let empty = get(guest, "/empty").await;
    assert_eq!((empty.status.as_u16(), empty.body.len()), (204, 0));
    let head = send(guest, request("HEAD", "/", &[]), "").await;
    assert_eq!(
        (head.status.as_u16(), head.body.len(), head.broken),
        (200, 0, false)
    );
    assert_eq!(get(guest, "/none").await.status, 404);
    node.until_running(0).await;
}

#[tokio::test]
async fn a_guest_learns_how_it_was_reached() {
    let node = TestNode::start();
    let [guest] = node.serve([app("guest", "http-p3")]).await;
    let spoofed = [("spin-client-addr", "9.9.9.9"), ("x-own", "1")];
    let answer = send(guest, request("PUT", "/request?q=1", &spoofed), "")
        .await
        .text();
    for line in [
        "method Method::Put",
        "scheme Some(Scheme::Http)",
        "authority Some(\"app.test\")",
        "path Some(\"/request?q=1\")",
        "header x-own: 1",
        "header spin-full-url: http://app.test/request?q=1",
        "header spin-path-info: /request",
    ] {
        assert!(
            answer.lines().any(|l| l == line),
            "{line} is not in\n{answer}"
        );
    }
    assert!(
        !answer.contains("9.9.9.9") && !answer.contains("header host"),
        "{answer}"
    );
}

#[tokio::test]
async fn bodies_stream_both_ways_at_once() {
    let node = TestNode::start();
    let [guest] = node.serve([app("guest", "http-p3")]).await;
    for path in ["/echo", "/pass"] {
        let mut client = Raw::connect(guest).await;
        let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
        client.write(&head).await;
        for part in ["one", "two", "three"] {
            client
                .write(&format!("{:x}\r\n{part}\r\n", part.len()))
                .await;
            // It comes back before the next part is sent.
            assert!(client.read_until(part).await.contains(part), "{path}");
        }
        client.write("0\r\n\r\n").await;
        client.read_until("0\r\n\r\n").await;
    }
    node.until_running(0).await;
}

#[tokio::test]
async fn a_large_body_comes_back_whole() {
    let node = TestNode::start();
    let [guest] = node.serve([app("guest", "http-p3")]).await;
    let body: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    for path in ["/echo", "/pass"] {
        let answer = post(guest, path, body.clone()).await;
        assert!(!answer.broken && answer.body == body, "{path}");
    }
}

#[tokio::test]
async fn trailers_follow_the_body() {
    let node = TestNode::start();
    let [guest] = node.serve([app("guest", "http-p3")]).await;
    let io = TokioIo::new(TcpStream::connect(guest).await.unwrap());
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(format!("http://{guest}/trailers"));
    let request = request.body(Full::<bytes::Bytes>::default()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap();
    assert_eq!(body.to_bytes(), "ten bytes\n");
    assert_eq!(trailers["x-trailer"], "last");
}

#[tokio::test]
async fn work_goes_on_after_the_answer() {
    let node = TestNode::start();
    let [guest] = node.serve([app("guest", "http-p3")]).await;
    assert_eq!(get(guest, "/after/50").await.text(), "answered\n");
    eventually("it is done", async || {
        printed(&node, "done after the answer")
    })
    .await;
    assert_eq!(get(guest, "/sent").await.text(), "ten bytes\n");
    eventually("it learns that its body was sent", async || {
        printed(&node, "sent: Ok(())")
    })
    .await;
    node.until_running(0).await;
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let node = TestNode::start();
    let (guest, _) = both(&node, |l| l.request_body = 1000).await;
    assert_eq!(post(guest, "/echo", vec![b'x'; 1001]).await.status, 413);
    assert_eq!(post(guest, "/echo", vec![b'x'; 1000]).await.status, 200);
    // Without a length, so that it shows only on the way.
    let mut client = Raw::connect(guest).await;
    client
        .write("POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n")
        .await;
    client.write(&"x".repeat(1001)).await;
    client.write("\r\n0\r\n\r\n").await;
    let answer = client.read_to_end().await.unwrap_or_default();
    assert!(
        !answer.contains("\r\n0\r\n\r\n") || answer.starts_with("HTTP/1.1 413"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_guest_that_never_answers_is_a_504() {
    let node = TestNode::start();
    let (guest, hello) = both(&node, |l| l.response_start = Duration::from_millis(300)).await;
    for path in ["/never", "/spin", "/yield"] {
        let answer = get(guest, path).await;
        assert_eq!(answer.status, 504, "{path}: {answer:?}");
        assert_eq!(get(hello, "/").await.status, 200, "{path}");
        node.until_running(0).await;
    }
}

#[tokio::test]
async fn guests_that_compute_without_end_leave_their_neighbours_their_turn() {
    let node = TestNode::with(|config| config.threads = 1);
    let (guest, hello) = both(&node, |l| l.response_start = 2 * LONG).await;
    for path in ["/spin", "/yield"] {
        let spinning = spinners(guest, path, 4).await;
        node.until_running(4).await;
        // None of those ends before it is answered.
        for _ in 0..20 {
            assert_eq!(get(hello, "/").await.status, 200, "{path}");
        }
        drop(spinning);
        node.until_running(0).await;
    }
}

#[tokio::test]
async fn a_guest_that_dies_costs_its_request_a_500() {
    let node = TestNode::start();
    let (guest, hello) = both(&node, |_| {}).await;
    // One that waits for nothing at all would wait for ever.
    for path in ["/trap", "/idle", "/streams/100000"] {
        let answer = get(guest, path).await;
        assert_eq!(answer.status, 500, "{path}: {answer:?}");
        assert_eq!(get(hello, "/").await.status, 200);
    }
    let error = get(guest, "/error").await;
    assert_eq!(error.status, 500);
    assert!(error.text().contains("`loop-detected`"), "{}", error.text());
    let traps = node.node.metrics();
    assert!(
        traps.contains("shoal_app_traps_total{reason=\"unreachable\"}"),
        "{traps}"
    );
    assert_eq!(get(guest, "/streams/100").await.status, 200);
    assert_eq!(get(guest, "/calls/200").await.status, 200);
    node.until_running(0).await;
}

#[tokio::test]
async fn a_broken_response_never_looks_whole() {
    let node = TestNode::start();
    let (guest, hello) = both(&node, impatient).await;
    for path in ["/broken/trap", "/broken/error", "/broken/short"] {
        if let Some(answer) = try_send(guest, request("GET", path, &[]), "").await {
            let refused = answer.status == 502 || answer.status == 500;
            assert!(refused || answer.broken, "{path}: {answer:?}");
        }
        assert_eq!(get(hello, "/").await.status, 200);
    }
    let trapped = get(guest, "/broken/trap").await;
    assert_eq!(
        (trapped.status.as_u16(), trapped.text().as_str()),
        (200, "ten bytes\n"),
        "the head had gone"
    );
    node.until_running(0).await;
}

#[tokio::test]
async fn a_body_that_stands_still_is_broken_off() {
    let node = TestNode::start();
    let (guest, _) = both(&node, impatient).await;
    for path in ["/silent-body", "/forgotten", "/trickle"] {
        let answer = get(guest, path).await;
        assert!(answer.broken, "{path}: {answer:?}");
        node.until_running(0).await;
    }
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_guest() {
    let node = TestNode::start();
    let [guest] = node.serve([app("guest", "http-p3")]).await;
    for path in ["/endless", "/never", "/silent-body"] {
        let mut client = Raw::connect(guest).await;
        client
            .write(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"))
            .await;
        node.until_running(1).await;
        drop(client);
        node.until_running(0).await;
    }
}

#[tokio::test]
async fn instances_count_against_concurrency_and_memory() {
    let node = TestNode::start();
    let (guest, _) = both(&node, |l| l.concurrency = 1).await;
    let mut first = Raw::connect(guest).await;
    first
        .write("POST /pass HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
        .await;
    first.read_until("x\r\n").await;
    assert_eq!(
        get(guest, "/").await.status,
        503,
        "a body that is handed on is the guest's still"
    );
    drop(first);
    eventually("the first is over", async || {
        get(guest, "/").await.status == 200
    })
    .await;
    let [small] = node
        .serve([limited("small", "http-p3", |l| l.memory = MIB / 2)])
        .await;
    assert_eq!(get(small, "/").await.status, 503);
}

#[tokio::test]
async fn nothing_leads_out_of_a_guest() {
    let node = TestNode::start();
    let [guest] = node.serve([app("guest", "http-p3")]).await;
    let answer = get(guest, "/denied").await.text();
    for line in [
        "http ErrorCode::HttpRequestDenied",
        "dns ErrorCode::PermanentResolverFailure",
        "tcp ErrorCode::AccessDenied",
        "listen ErrorCode::AccessDenied",
        "udp ErrorCode::AccessDenied",
        "directories 0",
    ] {
        assert!(
            answer.lines().any(|l| l == line),
            "{line} is not in\n{answer}"
        );
    }
}
