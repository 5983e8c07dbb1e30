//! Key-value stores as guests see them, through each interface.

use std::{net::SocketAddr, time::Duration};

use crate::support::{TestNode, app, binding, client::*};

async fn text(address: SocketAddr, path: &str) -> String {
    let answer = get(address, path).await;
    format!("{} {}", answer.status.as_u16(), answer.text())
}

#[tokio::test]
async fn every_interface_reads_what_it_wrote() {
    let node = TestNode::start();
    let all = node
        .serve([app("a", "kv"), app("b", "kv-draft"), app("c", "kv-spin")])
        .await;
    for kv in all {
        assert_eq!(text(kv, "/get/x").await, "404 no such key");
        assert_eq!(text(kv, "/set/x/one").await, "200 set");
        assert_eq!(
            text(kv, "/get/x").await,
            "200 one",
            "another instance sees it"
        );
        assert_eq!(text(kv, "/exists/x").await, "200 true");
        assert_eq!(text(kv, "/delete/x").await, "200 deleted");
        assert_eq!(
            text(kv, "/delete/x").await,
            "200 deleted",
            "what is not there is no error"
        );
        assert_eq!(text(kv, "/exists/x").await, "200 false");
    }
}

#[tokio::test]
async fn stores_of_two_apps_are_two_and_one_store_is_one() {
    let node = TestNode::start();
    let (mut a, mut b) = (app("a", "kv"), app("b", "kv-spin"));
    let shared = binding("shared");
    a.components[0].stores.push(shared.clone());
    b.components[0].stores.push(shared);
    let [a, b] = node.serve([a, b]).await;
    assert_eq!(text(a, "/set/x/of-a").await, "200 set");
    assert_eq!(text(b, "/get/x").await, "404 no such key");
    assert_eq!(text(a, "/set/x/of-both?label=shared").await, "200 set");
    assert_eq!(text(b, "/get/x?label=shared").await, "200 of-both");
    assert_eq!(text(a, "/get/x").await, "200 of-a");
}

#[tokio::test]
async fn an_unknown_label_has_the_interfaces_own_error() {
    let node = TestNode::start();
    let [kv, draft, spin] = node
        .serve([app("a", "kv"), app("b", "kv-draft"), app("c", "kv-spin")])
        .await;
    assert_eq!(text(kv, "/open?label=other").await, "500 no-such-store");
    assert_eq!(text(draft, "/open?label=other").await, "500 no-such-store");
    assert_eq!(text(spin, "/open?label=other").await, "500 access-denied");
}

#[tokio::test]
async fn all_keys_are_listed_in_pages_or_at_once() {
    let node = TestNode::start();
    let all = node
        .serve([app("a", "kv"), app("b", "kv-draft"), app("c", "kv-spin")])
        .await;
    for (kv, pages) in all.into_iter().zip(["200 3", "200 3", "200 1"]) {
        assert_eq!(text(kv, "/keys").await, "200 ");
        assert_eq!(text(kv, "/fill/k/25").await, "200 filled");
        let keys: Vec<String> = (0..25).map(|n| format!("k{n:06}")).collect();
        assert_eq!(text(kv, "/keys").await, format!("200 {}", keys.join("\n")));
        assert_eq!(text(kv, "/pages").await, pages);
    }
}

#[tokio::test]
async fn many_keys_at_once() {
    let node = TestNode::start();
    let all = node.serve([app("a", "kv"), app("b", "kv-draft")]).await;
    for kv in all {
        assert_eq!(text(kv, "/set-many/a=1,b=2").await, "200 set");
        assert_eq!(
            text(kv, "/get-many/b,none,a").await,
            "200 b=2\nnone is not there\na=1"
        );
        assert_eq!(text(kv, "/delete-many/a,none").await, "200 deleted");
        assert_eq!(text(kv, "/keys").await, "200 b");
    }
}

#[tokio::test]
async fn increments_and_swaps_happen_as_a_whole() {
    let node = TestNode::start();
    let [kv, draft] = node.serve([app("a", "kv"), app("b", "kv-draft")]).await;
    assert_eq!(text(kv, "/incr/n").await, "200 1");
    assert_eq!(text(kv, "/incr/n/-3").await, "200 -2");
    assert_eq!(text(draft, "/incr/n/5").await, "200 5");
    assert_eq!(text(kv, "/set/text/x").await, "200 set");
    assert!(text(kv, "/incr/text").await.starts_with("500 other: "));

    assert_eq!(text(kv, "/set/c/old").await, "200 set");
    assert_eq!(text(kv, "/cas/c/old/new").await, "200 swapped");
    assert_eq!(text(kv, "/get/c").await, "200 new");
    assert_eq!(
        text(kv, "/cas-stale/c/mine").await,
        "409 cas-failed: meanwhile"
    );

    let appends: Vec<_> = (0..10)
        .map(|_| tokio::spawn(get(kv, "/append/log/x")))
        .collect();
    for append in appends {
        assert_eq!(append.await.unwrap().status, 200);
    }
    assert_eq!(text(kv, "/get/log").await, "200 xxxxxxxxxx");
}

#[tokio::test]
async fn limits_of_keys_and_values_are_told_in_words() {
    let node = TestNode::start();
    let [kv] = node.serve([app("a", "kv")]).await;
    node.bound_stores(|class| (class.limits.key_bytes, class.limits.value_bytes) = (8, 16));
    assert_eq!(text(kv, "/set/12345678/ok").await, "200 set");
    let long = text(kv, "/set/123456789/x").await;
    assert_eq!(
        long,
        "500 other: the key has 9 bytes; at most 8 are allowed"
    );
    assert_eq!(
        text(kv, "/big/k/17").await,
        "500 other: the value has 17 bytes; at most 16 are allowed"
    );
    assert!(
        text(kv, "/get/").await.starts_with("500 other: "),
        "a key has at least a byte"
    );
}

#[tokio::test]
async fn a_slow_store_blocks_no_other_guest() {
    let node = TestNode::with(|config| config.threads = 1);
    let [kv, hello] = node.serve([app("a", "kv"), app("hello", "hello")]).await;
    node.store.delay(Duration::from_millis(1500));
    let slow: Vec<_> = (0..4).map(|_| tokio::spawn(get(kv, "/get/x"))).collect();
    let mut answered = 0;
    while !slow.iter().all(tokio::task::JoinHandle::is_finished) {
        assert_eq!(get(hello, "/").await.status, 200);
        answered += 1;
    }
    assert!(answered > 10, "{answered}");
}
