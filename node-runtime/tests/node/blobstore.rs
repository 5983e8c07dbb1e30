//! Objects as guests see them, through `wasi:blobstore`.

use std::net::SocketAddr;

use shoal_crds::Interface;
use shoal_runtime::{
    StoreBinding,
    stores::{ClassBackend, ClassDescription},
};
use shoal_stores::StoreId;

use crate::support::{TestNode, binding, blob_app, client::*, limited, s3_server::S3Server};

async fn text(address: SocketAddr, path: &str) -> String {
    let answer = get(address, path).await;
    format!("{} {}", answer.status.as_u16(), answer.text())
}

async fn put(address: SocketAddr, path: &str, body: impl Into<bytes::Bytes>) -> String {
    let answer = post(address, path, body).await;
    format!("{} {}", answer.status.as_u16(), answer.text())
}

/// What a guest may expect of its objects, wherever they are.
async fn assert_served(blobs: SocketAddr) {
    assert_eq!(put(blobs, "/put/a", "0123456789").await, "200 written");
    assert_eq!(text(blobs, "/get/a").await, "200 0123456789");
    assert_eq!(text(blobs, "/get/a?at-once=1").await, "200 0123456789");
    let part = get(blobs, "/get/a?start=2&end=4").await;
    assert_eq!((part.text().as_str(), part.header("x-size")), ("234", "3"));
    assert_eq!(text(blobs, "/info/a").await, "200 default/a 10 true");
    assert_eq!(text(blobs, "/has/a").await, "200 true");
    assert_eq!(text(blobs, "/has/b").await, "200 false");
    let missing = text(blobs, "/get/b").await;
    assert_eq!(missing, "500 there is no object of that name");
    let beyond = text(blobs, "/get/a?start=10").await;
    assert_eq!(
        beyond,
        "500 the range starts at 10, and the object has 10 bytes"
    );

    assert_eq!(put(blobs, "/put/late?order=late", "x").await, "200 written");
    assert_eq!(
        put(blobs, "/put/gone?order=dropped", "x").await,
        "200 dropped"
    );
    assert_eq!(text(blobs, "/copy/a/dir%2Fcopy").await, "200 done");
    assert_eq!(text(blobs, "/move/late/moved").await, "200 done");
    assert_eq!(text(blobs, "/list").await, "200 1: a dir/copy moved");
    assert_eq!(text(blobs, "/list?len=2").await, "200 2: a dir/copy moved");
    assert_eq!(text(blobs, "/skip/2").await, "200 2 false");
    assert_eq!(text(blobs, "/skip/9").await, "200 3 true");
    assert_eq!(text(blobs, "/delete/a,moved,missing").await, "200 done");
    assert_eq!(text(blobs, "/list").await, "200 1: dir/copy");

    let large = vec![7; 6_000_000];
    assert_eq!(put(blobs, "/put/large", large.clone()).await, "200 written");
    let answer = get(blobs, "/get/large").await;
    assert!(answer.body == large, "{} bytes", answer.body.len());
    assert_eq!(text(blobs, "/clear").await, "200 done");
    assert_eq!(text(blobs, "/list").await, "200 1: ");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_read_as_they_were_written() {
    let node = TestNode::start();
    let [blobs] = node.serve([blob_app("a", "blobs")]).await;
    assert_served(blobs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_a_bucket_are_no_different() {
    let Some(server) = S3Server::start().await else {
        return;
    };
    let node = TestNode::start();
    let options = server.options("shoal");
    let class = ClassDescription::new("bucket", ClassBackend::S3(options));
    node.node.stores().replace(vec![class]);
    let mut app = blob_app("a", "blobs");
    app.components[0].stores[0].class = "bucket".into();
    let [blobs] = node.serve([app]).await;
    assert_served(blobs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_a_label_that_is_bound_and_no_other_is_there() {
    let node = TestNode::start();
    let mut app = blob_app("a", "blobs");
    app.components[0].stores.push(StoreBinding {
        interface: Interface::Blob,
        ..binding("other")
    });
    app.components[0].stores.push(binding("keys"));
    let [blobs] = node.serve([app]).await;
    assert_eq!(text(blobs, "/name").await, "200 default default");
    assert_eq!(text(blobs, "/exists?container=other").await, "200 true");
    let created = text(blobs, "/create").await;
    assert_eq!(created, "500 the container `default` already exists");
    let removed = text(blobs, "/remove").await;
    assert!(removed.contains("clear"), "{removed}");
    for unknown in ["keys", "nothing", "", "default/", "../default"] {
        let exists = text(blobs, &format!("/exists?container={unknown}")).await;
        assert_eq!(exists, "200 false", "{unknown}");
        for path in ["create", "remove", "list"] {
            let answer = text(blobs, &format!("/{path}?container={unknown}")).await;
            let expected = format!("500 there is no container `{unknown}`");
            assert!(answer.starts_with(&expected), "{answer}");
        }
    }
    assert_eq!(put(blobs, "/put/a", "content").await, "200 written");
    assert_eq!(text(blobs, "/copy/a/b?to=other").await, "200 done");
    assert_eq!(text(blobs, "/get/b?container=other").await, "200 content");
    assert_eq!(
        text(blobs, "/get/b").await,
        "500 there is no object of that name"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_two_apps_are_two() {
    let node = TestNode::start();
    let [a, b] = node
        .serve([blob_app("a", "blobs"), blob_app("b", "blobs")])
        .await;
    assert_eq!(put(a, "/put/secret", "of a").await, "200 written");
    assert_eq!(text(b, "/has/secret").await, "200 false");
    assert_eq!(text(b, "/list").await, "200 1: ");
    let mut shared = blob_app("c", "blobs");
    shared.components[0].stores[0].id = StoreId::random();
    let mut canary = shared.clone();
    canary.app = crate::support::app_ref("d");
    let [c, d] = node.serve([shared, canary]).await;
    assert_eq!(put(c, "/put/shared", "of both").await, "200 written");
    assert_eq!(text(d, "/get/shared").await, "200 of both");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_told_to_the_guest_and_to_its_owner() {
    let node = TestNode::start();
    let mut notices = node.node.stores().notices();
    node.bound_stores(|class| {
        class.object_bytes = 100_000;
        class.limits.keys = Some(2);
        class.limits.bytes = Some(150_000);
    });
    let [blobs] = node.serve([blob_app("a", "blobs")]).await;
    let over = put(blobs, "/put/a", vec![1; 200_000]).await;
    assert!(
        over.ends_with("bytes in an object are more than the limit of 100000"),
        "{over}"
    );
    let notice = notices.recv().await.unwrap();
    assert!(notice.message.contains("interface Blob"), "{notice:?}");
    assert_eq!(put(blobs, "/put/a", vec![1; 100_000]).await, "200 written");
    let over = put(blobs, "/put/b", vec![1; 60_000]).await;
    assert!(over.contains("the limit of 150000"), "{over}");
    assert_eq!(put(blobs, "/put/b", "x").await, "200 written");
    let over = put(blobs, "/put/c", "x").await;
    assert_eq!(over, "500 3 keys in one store are more than the limit of 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guest_holds_open_is_bounded_and_paid_for() {
    let node = TestNode::start();
    let poor = limited("poor", "blobs", |limits| limits.memory = 2 << 20);
    let mut poor = poor;
    poor.components[0].stores[0].interface = Interface::Blob;
    let [blobs, poor] = node.serve([blob_app("a", "blobs"), poor]).await;
    assert_eq!(put(blobs, "/put/a", "x").await, "200 written");
    assert_eq!(text(blobs, "/containers/200").await, "200 200");
    assert!(
        text(blobs, "/containers/300")
            .await
            .starts_with("500 256 containers")
    );
    assert_eq!(text(blobs, "/values/16").await, "200 16");
    assert!(text(blobs, "/values/17").await.starts_with("500 16 values"));
    // As much as is written before it is known what it becomes.
    let early = put(blobs, "/put/a?order=late", vec![1; 2 << 20]).await;
    assert!(early.contains("write-data"), "{early}");
    let large = put(blobs, "/put/large", vec![1; 9 << 20]).await;
    assert_eq!(large, "200 written");
    let at_once = text(blobs, "/get/large?at-once=1").await;
    assert!(
        at_once.contains("incoming-value-consume-async"),
        "{at_once}"
    );
    let refused = put(poor, "/put/a", "x").await;
    assert!(refused.starts_with("500"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_without_objects_says_so() {
    let node = TestNode::start();
    node.node
        .stores()
        .replace(vec![ClassDescription::new("quick", ClassBackend::Memory)]);
    let mut app = blob_app("a", "blobs");
    app.components[0].stores[0].class = "quick".into();
    let [blobs] = node.serve([app]).await;
    let answer = text(blobs, "/list").await;
    assert!(
        answer.contains("`quick`") && answer.contains("`s3`"),
        "{answer}"
    );
}
