//! What guests may not do: each attempt ends with the interface's own error.

use crate::support::{TestNode, app, client::*};

#[tokio::test]
async fn nothing_leads_out_of_a_guest() {
    let node = TestNode::start();
    let [denied] = node.serve([app("denied", "denied")]).await;
    // Something that would answer, if anything got there.
    let outside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    outside.set_nonblocking(true).unwrap();
    let port = outside.local_addr().unwrap().port();
    let answer = get(denied, &format!("/?host=127.0.0.1&port={port}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let tried = answer.json();
    assert_eq!(tried["outgoing-http"], "http-request-denied");
    // What WASI answers for a name that may not be looked up.
    assert_eq!(tried["dns"], "permanent-resolver-failure");
    for socket in ["tcp-connect", "tcp-listen", "udp-bind", "udp-send"] {
        assert_eq!(tried[socket], "access-denied", "{socket}: {tried}");
    }
    assert_eq!(tried["preopens"], "none");
    assert_ne!(tried["read-root"], "allowed");
    assert_ne!(tried["write-file"], "allowed");
    let reached = outside.accept().map(|_| "reached").unwrap_or("not reached");
    assert_eq!(reached, "not reached");
}

#[tokio::test]
async fn a_guest_sees_its_own_environment_and_nothing_of_the_hosts() {
    let node = TestNode::start();
    let mut env = app("env", "env");
    env.components[0].env = vec![("A".into(), "1".into()), ("B".into(), "ä".into())];
    let [env] = node.serve([env]).await;
    let seen = get(env, "/").await.json();
    assert_eq!(seen["environment"], serde_json::json!({"A": "1", "B": "ä"}));
    assert_eq!(seen["arguments"], serde_json::json!([]));
}
