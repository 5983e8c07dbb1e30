//! Every limit of an app, and that none of them is its neighbours' trouble.

use std::time::{Duration, Instant};

use shoal_stores::KeyValue as _;

use crate::support::{TestNode, app, client::*, eventually, limited};

const MIB: u64 = 1 << 20;

#[tokio::test]
async fn a_response_that_does_not_begin_in_time_is_a_504() {
    let node = TestNode::start();
    let slow = limited("slow", "hostile", |l| {
        l.response_start = Duration::from_millis(300)
    });
    let [slow, hello] = node.serve([slow, app("hello", "hello")]).await;
    for path in ["/never", "/spin", "/sleep/60000"] {
        let began = Instant::now();
        let answer = get(slow, path).await;
        assert_eq!(answer.status, 504, "{path}: {answer:?}");
        assert_eq!(
            answer.header("proxy-status"),
            "shoal; error=http_response_timeout"
        );
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(300), "{took:?}");
        assert_eq!(get(hello, "/").await.status, 200);
    }
    eventually("one that begins in time is not", async || {
        get(slow, "/sleep/10").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn more_requests_at_once_than_allowed_get_503() {
    let node = TestNode::start();
    let few = limited("few", "echo", |l| l.concurrency = 2);
    let [few, hello] = node.serve([few, app("hello", "hello")]).await;
    let held = [Raw::begin_echo(few).await, Raw::begin_echo(few).await];
    node.until_running(2).await;
    let answer = get(few, "/").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(
        answer.header("proxy-status"),
        "shoal; error=connection_limit_reached"
    );
    assert_eq!(
        get(hello, "/").await.status,
        200,
        "another app is not concerned"
    );
    for held in held {
        assert!(held.end_echo().await.starts_with("HTTP/1.1 200"));
    }
    node.until_running(0).await;
    assert_eq!(post(few, "/", "x").await.status, 200);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_a_413_by_its_length_and_by_its_bytes() {
    let node = TestNode::start();
    let small = limited("small", "echo", |l| l.request_body = 1000);
    let [small] = node.serve([small]).await;
    assert_eq!(post(small, "/", vec![b'x'; 1000]).await.status, 200);
    assert_eq!(post(small, "/", vec![b'x'; 1001]).await.status, 413);
    let mut client = Raw::connect(small).await;
    client
        .write("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    client
        .write(&format!("{:x}\r\n{}\r\n", 2000, "x".repeat(2000)))
        .await;
    let answer = client.read_until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn memory_of_one_instance_is_bounded() {
    let node = TestNode::start();
    let tight = limited("tight", "hostile", |l| l.instance_memory = 32 * MIB);
    let [tight, hello] = node.serve([tight, app("hello", "hello")]).await;
    assert_eq!(get(tight, "/alloc/8").await.status, 200);
    let refused = get(tight, "/alloc/64").await;
    assert_eq!(refused.status, 500);
    assert!(
        refused.text().starts_with("refused after"),
        "growing fails, the guest lives on"
    );
    let died = get(tight, "/alloc").await;
    assert_eq!(died.status, 500, "{died:?}");
    assert_eq!(
        died.header("proxy-status"),
        "shoal; error=proxy_internal_error"
    );
    assert_eq!(get(hello, "/").await.status, 200);
    assert!(
        node.node
            .metrics()
            .contains("shoal_app_traps_total{reason=\"memory\"} 1")
    );
}

#[tokio::test]
async fn memory_of_all_instances_together_is_bounded() {
    let node = TestNode::start();
    let app = limited("shared", "hostile", |l| {
        l.memory = 48 * MIB;
        l.instance_memory = 40 * MIB;
    });
    let [shared] = node.serve([app]).await;
    let mut holder = Raw::connect(shared).await;
    holder
        .write("GET /alloc/32?hold=600000 HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    eventually("it holds its memory", async || {
        let metrics = node.node.metrics();
        let line = "shoal_runtime_budget{resource=\"memory_bytes\",what=\"used\"} ";
        let used = metrics.lines().find_map(|l| l.strip_prefix(line)).unwrap();
        used.parse::<u64>().unwrap() > 32 * MIB
    })
    .await;
    assert_ne!(
        get(shared, "/alloc/24").await.status,
        200,
        "another instance cannot have it"
    );
    node.until_running(1).await;
    drop(holder);
    eventually("what was held is given back", async || {
        get(shared, "/alloc/24").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn no_memory_for_another_instance_is_a_503() {
    let node = TestNode::start();
    let app = limited("none", "hello", |l| l.memory = 1);
    let [none] = node.serve([app]).await;
    let answer = get(none, "/").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn when_all_slots_are_taken_requests_get_503() {
    let node = TestNode::with(|config| config.instance_slots = 2);
    let [echo, hello] = node
        .serve([app("echo", "echo"), app("hello", "hello")])
        .await;
    let held = [Raw::begin_echo(echo).await, Raw::begin_echo(echo).await];
    node.until_running(2).await;
    assert_eq!(get(hello, "/").await.status, 503);
    for held in held {
        assert!(held.end_echo().await.starts_with("HTTP/1.1 200"));
    }
    eventually("slots are given back", async || {
        get(hello, "/").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_response_on_which_no_byte_moves_breaks_off() {
    let node = TestNode::start();
    let idle = limited("idle", "hostile", |l| l.idle = Duration::from_millis(300));
    let [idle] = node.serve([idle]).await;
    let answer = get(idle, "/silent-body").await;
    assert_eq!((answer.status.as_u16(), answer.broken), (200, true));
}

#[tokio::test]
async fn a_request_on_which_no_byte_moves_ends() {
    let node = TestNode::start();
    let idle = limited("idle", "echo", |l| l.idle = Duration::from_millis(300));
    let [idle] = node.serve([idle]).await;
    let mut client = Raw::connect(idle).await;
    client
        .write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nten bytes\n")
        .await;
    let answer = client.read_to_end().await.expect("the connection stays");
    assert!(
        !answer.contains("\r\n0\r\n\r\n"),
        "a broken echo must not look whole: {answer}"
    );
}

#[tokio::test]
async fn a_client_that_goes_takes_its_instance_along() {
    let node = TestNode::start();
    let [slow] = node
        .serve([limited("slow", "hostile", |l| l.concurrency = 1)])
        .await;
    for path in ["/never", "/spin"] {
        let mut client = Raw::connect(slow).await;
        client
            .write(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"))
            .await;
        node.until_running(1).await;
        assert_eq!(get(slow, "/").await.status, 503);
        drop(client);
        node.until_running(0).await;
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_left() {
    let node = TestNode::start();
    let endless = limited("endless", "hostile", |l| {
        l.idle = Duration::from_millis(300);
        l.concurrency = 1;
    });
    let [endless] = node.serve([endless]).await;
    let mut client = Raw::connect(endless).await;
    client
        .write("GET /endless HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    eventually("its instance is gone", async || {
        get(endless, "/").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_response_whose_body_nobody_reads_holds_its_instance_no_longer_than_idle() {
    let node = TestNode::start();
    let hostile = limited("hostile", "hostile", |l| {
        l.idle = Duration::from_millis(300);
        l.concurrency = 1;
    });
    let [hostile] = node.serve([hostile]).await;
    // One that writes for ever, one that writes now and then, one that never notices.
    for path in ["/endless", "/trickle", "/silent-body"] {
        let answer = send(hostile, request("HEAD", path, &[]), "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.body.len(), answer.broken),
            (200, 0, false),
            "{path}"
        );
        node.until_running(0).await;
    }
}

#[tokio::test]
async fn what_a_store_gives_is_paid_for_before_the_guest_gets_it() {
    let node = TestNode::start();
    let kv = limited("kv", "kv", |l| l.memory = 5 * MIB);
    let id = kv.components[0].stores[0].id;
    let limits = shoal_stores::StoreLimits {
        value_bytes: 8 * MIB,
        ..shoal_stores::StoreLimits::default()
    };
    node.bound_stores(|class| class.limits = limits);
    let large = vec![("k".to_owned(), vec![b'x'; 6 << 20].into())];
    node.store.set(id, large, limits).await.unwrap();
    let [kv] = node.serve([kv]).await;
    for path in ["/get/k", "/get-many/k", "/cas/k/x/y"] {
        let answer = get(kv, path).await;
        let text = "other: there is no memory for it: limits.memory is used up";
        assert_eq!(
            (answer.status.as_u16(), answer.text().as_str()),
            (500, text),
            "{path}"
        );
    }
    assert_eq!(get(kv, "/set/small/value").await.status, 200);
    assert_eq!(get(kv, "/cas/small/value/other").await.text(), "swapped");
    node.until_idle().await;
}
