//! Clients that misbehave.

use crate::support::{TestNode, app, client::*};

#[tokio::test]
async fn a_head_that_is_not_sent_to_its_end_is_not_waited_for() {
    let node = TestNode::start();
    let [hello] = node.serve([app("hello", "hello")]).await;
    let mut half = Raw::connect(hello).await;
    half.write("GET / HTTP/1.1\r\nhost: a\r\nx-slow: ").await;
    let mut silent = Raw::connect(hello).await;
    let mut preface = Raw::connect(hello).await;
    preface.write("PR").await;
    assert_eq!(get(hello, "/").await.status, 200);
    for client in [&mut half, &mut silent, &mut preface] {
        assert!(client.read_to_end().await.is_some(), "it stays open");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let node = TestNode::start();
    let [hello] = node.serve([app("hello", "hello")]).await;
    let mut long = Raw::connect(hello).await;
    let value = "x".repeat(70 << 10);
    long.write(&format!(
        "GET / HTTP/1.1\r\nhost: a\r\nx-long: {value}\r\n\r\n"
    ))
    .await;
    assert!(long.read_until("\r\n").await.starts_with("HTTP/1.1 431"));
    let mut many = Raw::connect(hello).await;
    let lines: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    many.write(&format!("GET / HTTP/1.1\r\nhost: a\r\n{lines}\r\n"))
        .await;
    assert!(many.read_until("\r\n").await.starts_with("HTTP/1.1 431"));
    assert_eq!(get(hello, "/").await.status, 200);
}

#[tokio::test]
async fn nonsense_is_refused() {
    let node = TestNode::start();
    let [hello] = node.serve([app("hello", "hello")]).await;
    for (sent, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "400",
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: nonsense\r\n\r\n",
            "400",
        ),
        ("CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n", "405"),
        ("\0\0\0\0", "400"),
    ] {
        let mut client = Raw::connect(hello).await;
        client.write(sent).await;
        let answer = client.read_until("\r\n").await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{sent:?}: {answer:?}"
        );
    }
    assert_eq!(get(hello, "/").await.status, 200);
}

#[tokio::test]
async fn a_storm_of_clients_that_hang_up_leaves_nothing_behind() {
    let node = TestNode::start();
    let [slow, hello] = node
        .serve([app("slow", "hostile"), app("hello", "hello")])
        .await;
    for round in 0..200 {
        let mut client = Raw::connect(slow).await;
        let path = ["/sleep/50", "/spin", "/endless", "/trickle"][round % 4];
        client
            .write(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"))
            .await;
        if round % 4 > 1 && round % 3 == 0 {
            client.read_until("\r\n").await;
        }
    }
    node.until_running(0).await;
    assert_eq!(get(hello, "/").await.status, 200);
}
