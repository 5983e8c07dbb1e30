//! Where objects are kept fails in every way that there is: calls fail with a plain reason, neighbours go on,
//! health says what is wrong, and all is well by itself once it is mended.

use std::{fs, net::SocketAddr};

use shoal_crds::Reason;
use shoal_runtime::stores::{ClassBackend, ClassDescription};

use super::store_servers::{text, until_health};
use crate::support::{
    TestNode, app, blob_app, client::post, eventually, proxy::Proxy, s3_server::S3Server,
};

const WORD: &str = "hunter2-of-the-tenant";
/// Calls of a neighbour while another app waits.
const MEANWHILE: usize = 20;

async fn put(address: SocketAddr, path: &str) -> String {
    let answer = post(address, path, "precious").await;
    format!("{} {}", answer.status.as_u16(), answer.text())
}

/// An app whose objects are in class `objects`, which fails, and one whose objects are elsewhere.
struct Apps {
    node: TestNode,
    victim: SocketAddr,
    neighbour: SocketAddr,
}

impl Apps {
    async fn of(class: ClassBackend) -> Self {
        let node = TestNode::start();
        let described = ClassDescription::new("objects", class);
        node.node.stores().replace(vec![described]);
        let mut app = blob_app("victim", "blobs");
        app.components[0].stores[0].class = "objects".into();
        let [victim, neighbour] = node.serve([app, blob_app("neighbour", "blobs")]).await;
        until_health(&node, "objects", Ok(())).await;
        assert_eq!(put(victim, "/put/kept").await, "200 written");
        Self {
            node,
            victim,
            neighbour,
        }
    }

    /// Something broke: what there is cannot be read, for `reason`.
    async fn fail(&self, failure: &str, reason: Reason) {
        let victim = self.victim;
        let call = tokio::spawn(async move { text(victim, "/get/kept").await });
        // However long the other waits.
        for n in 0..MEANWHILE {
            let written = put(self.neighbour, &format!("/put/{n}")).await;
            assert_eq!(written, "200 written", "{failure}");
        }
        let refused = call.await.unwrap();
        let is_plain = refused.starts_with("500 the store is unavailable: ");
        assert!(is_plain, "{failure}: {refused}");
        until_health(&self.node, "objects", Err(reason)).await;
        let health = self.node.node.stores().health().borrow().clone();
        let fault = health["objects"].clone().unwrap_err();
        for said in [&refused, &fault.message] {
            for secret in ["127.0.0.1", "tenant", "apps", WORD] {
                assert!(!said.contains(secret), "{failure}: {said}");
            }
        }
    }

    /// It was mended: what was there is there, and more can be written.
    async fn recover(&self, failure: &str) {
        until_health(&self.node, "objects", Ok(())).await;
        let kept = async || text(self.victim, "/get/kept").await == "200 precious";
        eventually(&format!("{failure}: what was kept is there"), kept).await;
        let written = async || put(self.victim, "/put/more").await == "200 written";
        eventually(&format!("{failure}: more is written"), written).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_of_a_bucket_is_told_contained_and_survived() {
    let Some(mut server) = S3Server::start().await else {
        return;
    };
    server.permit("tenant", Some(WORD));
    let proxy = Proxy::to(server.address()).await;
    let mut options = server.options("shoal");
    options.endpoint = Some(format!("http://{}", proxy.address));
    options.access_key_id = "tenant".to_owned();
    options.secret_access_key = WORD.to_owned();
    let apps = Apps::of(ClassBackend::S3(options)).await;

    server.kill();
    apps.fail("down", Reason::Unreachable).await;
    server.start_again().await;
    server.permit("tenant", Some(WORD));
    apps.recover("down").await;

    proxy.hold();
    apps.fail("slow", Reason::Unreachable).await;
    proxy.release();
    apps.recover("slow").await;

    server.permit("tenant", None);
    apps.fail("revoked", Reason::CredentialsRefused).await;
    server.permit("tenant", Some(WORD));
    apps.recover("revoked").await;

    server.kill();
    apps.fail("moved", Reason::Unreachable).await;
    server.start_elsewhere().await;
    proxy.lead_to(server.address());
    apps.recover("moved").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_class_whose_objects_fail_says_so_and_one_of_keys_does_not() {
    let node = TestNode::start();
    let class = |name: &str| ClassDescription::new(name, ClassBackend::Embedded);
    node.node
        .stores()
        .replace(vec![class("files"), class("keys")]);
    let index = node.folder.path().join("blobs/index.db");
    let sound = fs::read(&index).unwrap();
    fs::write(&index, vec![7; sound.len()]).unwrap();
    let mut files = blob_app("files", "blobs");
    files.components[0].stores[0].class = "files".into();
    let mut keys = app("keys", "kv");
    keys.components[0].stores[0].class = "keys".into();
    let [files, keys] = node.serve([files, keys]).await;
    until_health(&node, "files", Ok(())).await;
    let refused = put(files, "/put/a").await;
    assert_eq!(refused, "500 the store is unavailable: its data is damaged");
    until_health(&node, "files", Err(Reason::Unreachable)).await;
    assert_eq!(text(keys, "/set/n/1").await, "200 set");
    until_health(&node, "keys", Ok(())).await;

    fs::write(&index, sound).unwrap();
    until_health(&node, "files", Ok(())).await;
    assert_eq!(put(files, "/put/a").await, "200 written");
}
