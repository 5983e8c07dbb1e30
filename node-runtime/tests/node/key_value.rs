//! Key-value stores as guests see them, through each interface.

use std::{net::SocketAddr, time::Duration};

use shoal_stores::{KeyValue as _, StoreLimits};

use crate::support::{TestNode, app, binding, client::*, eventually, limited};

async fn text(address: SocketAddr, path: &str) -> String {
    let answer = get(address, path).await;
    format!("{} {}", answer.status.as_u16(), answer.text())
}

#[tokio::test]
async fn every_interface_reads_what_it_wrote() {
    let node = TestNode::start();
    let all = node
        .serve([
            app("a", "kv"),
            app("b", "kv-draft"),
            app("c", "kv-spin"),
            app("d", "kv-spin-v1"),
            app("e", "kv-spin-v3"),
        ])
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
    let [kv, draft, spin, v1, v3] = node
        .serve([
            app("a", "kv"),
            app("b", "kv-draft"),
            app("c", "kv-spin"),
            app("d", "kv-spin-v1"),
            app("e", "kv-spin-v3"),
        ])
        .await;
    assert_eq!(text(kv, "/open?label=other").await, "500 no-such-store");
    assert_eq!(text(draft, "/open?label=other").await, "500 no-such-store");
    for spin in [spin, v1, v3] {
        assert_eq!(text(spin, "/open?label=other").await, "500 access-denied");
    }
}

#[tokio::test]
async fn all_keys_are_listed_in_pages_or_at_once() {
    let node = TestNode::start();
    let all = node
        .serve([
            app("a", "kv"),
            app("b", "kv-draft"),
            app("c", "kv-spin"),
            app("d", "kv-spin-v1"),
            app("e", "kv-spin-v3"),
        ])
        .await;
    let pages = ["200 3", "200 3", "200 1", "200 1", "200 3"];
    for (kv, pages) in all.into_iter().zip(pages) {
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
    node.store.hold();
    let slow: Vec<_> = (0..4).map(|_| tokio::spawn(get(kv, "/get/x"))).collect();
    eventually("all of them wait", async || node.store.waiting() == 4).await;
    for _ in 0..10 {
        assert_eq!(get(hello, "/").await.status, 200);
    }
    node.store.release();
    for slow in slow {
        slow.await.unwrap();
    }
}

#[tokio::test]
async fn a_store_of_the_first_version_is_a_number_and_a_wrong_one_an_error() {
    let node = TestNode::start();
    let [v1] = node.serve([app("a", "kv-spin-v1")]).await;
    let invalid = "200 Err(Error::InvalidStore)";
    for number in ["0", "1", "7", "4294967295"] {
        assert_eq!(text(v1, &format!("/bad-handle/{number}")).await, invalid);
    }
    assert_eq!(text(v1, "/closed").await, invalid);
}

#[tokio::test]
async fn too_many_open_stores_are_an_error_that_a_guest_can_handle() {
    let node = TestNode::start();
    let [v1, v3] = node
        .serve([app("a", "kv-spin-v1"), app("b", "kv-spin-v3")])
        .await;
    assert_eq!(text(v1, "/opened/50").await, "200 50");
    assert_eq!(text(v3, "/opened/50").await, "200 50");
    let many = text(v1, "/opened/5000").await;
    assert!(many.ends_with(": Error::StoreTableFull"), "{many}");
    let many = text(v3, "/opened/5000").await;
    assert!(many.ends_with(": store-table-full"), "{many}");
}

#[tokio::test]
async fn calls_of_the_third_version_run_beside_each_other_and_can_be_left() {
    let node = TestNode::start();
    let [v3] = node.serve([app("a", "kv-spin-v3")]).await;
    assert_eq!(text(v3, "/fill/k/30").await, "200 filled");
    assert_eq!(text(v3, "/at-once/100").await, "200 30");
    assert_eq!(
        text(v3, "/first/3").await,
        "200 k000000\nk000001\nk000002",
        "a listing that is left has not failed"
    );
    node.store.hold();
    let eight = tokio::spawn(async move { text(v3, "/at-once/8").await });
    eventually("all of them wait", async || node.store.waiting() == 8).await;
    node.store.release();
    assert_eq!(eight.await.unwrap(), "200 8");
    node.store.hold();
    assert_eq!(text(v3, "/give-up/k000000").await, "200 given up");
    node.until_idle().await;
}

/// However its buffer and the pages fit together: it may read a page in parts, the last one too.
#[tokio::test]
async fn a_listing_of_the_third_version_ends_after_any_number_of_keys() {
    let node = TestNode::start();
    let app = app("a", "kv-spin-v3");
    let store = app.components[0].stores[0].id;
    let [v3] = node.serve([app]).await;
    for count in 0..40 {
        let keys = text(v3, "/keys").await;
        let found = keys.trim_start_matches("200 ").lines().count();
        assert_eq!(found, count, "{keys}");
        let pair = (format!("k{count:06}"), "x".into());
        let set = node.store.set(store, vec![pair], StoreLimits::default());
        set.await.unwrap();
    }
}

#[tokio::test]
async fn what_calls_beside_each_other_take_is_paid_for_together() {
    let node = TestNode::start();
    // A guest has its copy of a value no longer once its call has begun: room for that, not for what
    // 16 calls under way hold outside of it.
    let kv = limited("a", "kv-spin-v3", |l| l.memory = 12 << 20);
    let [kv] = node.serve([kv]).await;
    node.store.hold();
    let four = tokio::spawn(async move { text(kv, "/set-at-once/4/1000000").await });
    eventually("all of them wait", async || node.store.waiting() == 4).await;
    node.store.release();
    assert_eq!(four.await.unwrap(), "200 set");
    // Whoever comes last, a call or the guest itself; long enough for all of them to begin.
    node.store.delay(Duration::from_secs(2));
    for what in ["set", "exists"] {
        let many = text(kv, &format!("/{what}-at-once/16/1000000")).await;
        assert!(many.starts_with("500 "), "{what}: {many}");
    }
    node.until_idle().await;
}

#[tokio::test]
async fn apps_of_spins_toolchains_count_their_requests() {
    let node = TestNode::start();
    let both = node
        .serve([app("six", "spin-sdk-6"), app("seven", "spin-sdk-7")])
        .await;
    for spin in both {
        assert_eq!(text(spin, "/count").await, "200 1");
        assert_eq!(text(spin, "/count").await, "200 2");
        let echo = post(spin, "/", "all of it").await;
        assert_eq!(
            (echo.status.as_u16(), echo.text().as_str()),
            (200, "all of it")
        );
    }
}
