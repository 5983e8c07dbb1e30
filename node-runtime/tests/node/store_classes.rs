//! Classes of stores: where they lead, what bounds them, what is told of them.

use std::{net::SocketAddr, num::NonZeroU32};

use shoal_crds::Reason;
use shoal_runtime::stores::{ClassBackend, ClassDescription};
use shoal_stores::KeyValue as _;

use crate::support::{TestNode, app, app_of_class, client::*, eventually};

async fn text(address: SocketAddr, path: &str) -> String {
    let answer = get(address, path).await;
    format!("{} {}", answer.status.as_u16(), answer.text())
}

#[tokio::test]
async fn the_class_of_a_label_says_where_its_data_is() {
    let node = TestNode::start();
    let fast = ClassDescription::new("fast", ClassBackend::Memory);
    node.node.stores().replace(vec![fast]);
    let (a, b) = (app_of_class("a", "kv", "fast"), app("b", "kv"));
    let [of_a, of_b] = [&a, &b].map(|app| app.components[0].stores[0].id);
    let [a, b] = node.serve([a, b]).await;
    for app in [a, b] {
        assert_eq!(text(app, "/set/x/one").await, "200 set");
    }
    let there = async |store: &crate::support::memory_store::MemoryStore, id| {
        store.exists(id, "x".into()).await.unwrap()
    };
    assert!(there(&node.memory, of_a).await && !there(&node.store, of_a).await);
    assert!(there(&node.store, of_b).await && !there(&node.memory, of_b).await);
}

#[tokio::test]
async fn a_class_that_is_not_known_yet_is_waited_for_and_then_named() {
    let node = TestNode::start();
    let [late] = node.serve([app_of_class("late", "kv", "late")]).await;
    let never = text(late, "/get/x").await;
    assert!(
        never.starts_with("500 other: ") && never.contains("`late`"),
        "{never}"
    );
    let waits = tokio::spawn(async move { text(late, "/set/x/one").await });
    node.until_running(1).await;
    let class = ClassDescription::new("late", ClassBackend::Memory);
    node.node.stores().replace(vec![class]);
    assert_eq!(waits.await.unwrap(), "200 set");
}

#[tokio::test]
async fn a_class_that_cannot_be_used_says_why_and_disturbs_no_other() {
    let node = TestNode::start();
    let redis = shoal_stores::RedisOptions {
        url: "redis://secret@@nonsense:port".into(),
        ..shoal_stores::RedisOptions::default()
    };
    let backends = [
        ClassBackend::Redis(redis),
        ClassBackend::Unusable("no such thing".into()),
    ];
    let names = ["redis", "unknown"];
    let classes = names.into_iter().zip(backends);
    let classes = classes.map(|(name, backend)| ClassDescription::new(name, backend));
    let mut health = node.node.stores().health();
    node.node.stores().replace(classes.collect());
    let [redis, unknown, well] = node
        .serve([
            app_of_class("a", "kv", "redis"),
            app_of_class("b", "kv", "unknown"),
            app("c", "kv"),
        ])
        .await;
    for (app, class) in [(redis, "redis"), (unknown, "unknown")] {
        let said = text(app, "/get/x").await;
        assert!(said.starts_with("500 other: "), "{said}");
        assert!(said.contains(&format!("`{class}`")), "{said}");
        assert!(!said.contains("secret"), "{said}");
        let known = health.wait_for(|health| health.contains_key(class)).await;
        let fault = known.unwrap()[class].clone().unwrap_err();
        assert_eq!(fault.reason, Reason::InvalidConfiguration);
        assert!(!fault.message.contains("secret"), "{}", fault.message);
    }
    assert_eq!(text(well, "/set/x/one").await, "200 set");
    // Put right, it works at once.
    let right = ClassDescription::new("unknown", ClassBackend::Memory);
    node.node.stores().replace(vec![right]);
    assert_eq!(text(unknown, "/set/x/one").await, "200 set");
}

#[tokio::test]
async fn limits_change_without_another_assignment() {
    let node = TestNode::start();
    let [kv] = node.serve([app("a", "kv")]).await;
    assert_eq!(text(kv, "/big/k/17").await, "200 set");
    node.bound_stores(|class| class.limits.value_bytes = 16);
    let refused = "500 other: the value has 17 bytes; at most 16 are allowed";
    assert_eq!(text(kv, "/big/k/17").await, refused);
    node.node.stores().replace(Vec::new());
    assert_eq!(text(kv, "/big/k/17").await, "200 set", "the defaults again");
}

#[tokio::test]
async fn keys_that_became_too_long_can_be_read_and_deleted() {
    let node = TestNode::start();
    let [kv] = node.serve([app("a", "kv")]).await;
    assert_eq!(text(kv, "/set/long/one").await, "200 set");
    node.bound_stores(|class| class.limits.key_bytes = 3);
    assert!(text(kv, "/set/long/two").await.contains("at most 3"));
    assert_eq!(text(kv, "/get/long").await, "200 one");
    assert_eq!(text(kv, "/exists/long").await, "200 true");
    assert_eq!(text(kv, "/delete/long").await, "200 deleted");
    assert_eq!(text(kv, "/exists/long").await, "200 false");
}

#[tokio::test]
async fn a_store_is_used_so_often_a_second_and_its_owner_is_told_once() {
    let node = TestNode::start();
    let mut notices = node.node.stores().notices();
    // So slow that the test is not.
    node.bound_stores(|class| class.ops_per_second = NonZeroU32::new(1));
    let mut half = app("half", "kv");
    half.components[0].stores[0].nodes = 100;
    let [kv, spin, half] = node
        .serve([app("a", "kv"), app("b", "kv-spin"), half])
        .await;
    for app in [kv, spin, half] {
        assert_eq!(
            text(app, "/get/x").await,
            "404 no such key",
            "each Store has its own"
        );
    }
    // More than a second may have passed on a busy machine; not so long for this one.
    for _ in 0..2 {
        let refused = text(half, "/get/x").await;
        assert!(
            refused.starts_with("500 other: ") && refused.contains("limits.opsPerSecond"),
            "{refused}"
        );
    }
    let notice = notices.recv().await.unwrap();
    assert_eq!(notice.app.name, "half");
    assert_eq!(notice.reason, Reason::StoreRateExceeded);
    assert!(notice.message.contains("`default`"), "{}", notice.message);
    node.bound_stores(|class| class.limits.key_bytes = 1);
    assert!(text(half, "/set/xx/y").await.contains("at most 1"));
    let notice = notices.recv().await.unwrap();
    assert_eq!(
        notice.reason,
        Reason::StoreLimitReached,
        "not the first again"
    );
    assert_eq!(
        text(half, "/get/x").await,
        "404 no such key",
        "the bound is gone"
    );
}

#[tokio::test]
async fn operations_are_counted_by_class_and_outcome() {
    let node = TestNode::start();
    let [kv] = node.serve([app("a", "kv")]).await;
    node.bound_stores(|class| class.limits.key_bytes = 4);
    assert_eq!(text(kv, "/set/x/one").await, "200 set");
    assert_eq!(text(kv, "/get/x").await, "200 one");
    assert!(text(kv, "/set/xxxxx/one").await.starts_with("500"));
    assert!(text(kv, "/incr/x").await.starts_with("500"));
    let count = |op: &str, result: &str| {
        format!(
            "shoal_store_operations_total{{class=\"embedded\",op=\"{op}\",result=\"{result}\"}} 1\n"
        )
    };
    let metrics = node.node.metrics();
    for line in [
        count("set", "ok"),
        count("get", "ok"),
        count("set", "limit"),
        count("increment", "invalid"),
        "shoal_store_operation_duration_seconds_count{class=\"embedded\",op=\"get\"} 1\n".into(),
    ] {
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
    assert!(!metrics.contains("op=\"compare_and_swap\""), "{metrics}");
}

#[tokio::test]
async fn how_classes_do_is_known_before_anybody_asks_for_data() {
    let node = TestNode::start();
    let health = node.node.stores().health();
    eventually("the one class is looked at", async || {
        health.borrow().get("embedded") == Some(&Ok(None))
    })
    .await;
}
