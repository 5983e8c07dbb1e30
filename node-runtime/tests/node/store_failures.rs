//! Servers of stores fail in every way that there is: calls fail with a plain reason, neighbours go on,
//! health says what is wrong, and all is well by itself once the server is.

use std::net::SocketAddr;

use shoal_crds::Reason;

use super::store_servers::{postgres, postgres_server, redis, text, until_health};
use crate::support::{
    LONG, TestNode, app, app_of_class, eventually, postgres_server::Server, proxy::Proxy,
    redis_server::RedisServer,
};

const WORD: &str = "hunter2-of-the-tenant";
/// Calls of a neighbour while another app waits.
const MEANWHILE: usize = 50;

/// An app of a class whose server fails, and one whose stores are elsewhere.
struct Apps {
    node: TestNode,
    class: &'static str,
    victim: SocketAddr,
    neighbour: SocketAddr,
}

impl Apps {
    /// Something broke: `path` fails for `reason`.
    async fn fail(&self, failure: &str, path: &str, reason: Reason) {
        let victim = self.victim;
        let given_up = tokio::time::Instant::now() + LONG;
        let refused = loop {
            assert!(
                tokio::time::Instant::now() < given_up,
                "{failure}: {path} never fails"
            );
            let path = path.to_owned();
            let call = tokio::spawn(async move { text(victim, &path).await });
            // However long the other waits.
            for n in 0..MEANWHILE {
                let set = text(self.neighbour, &format!("/set/n/{n}")).await;
                assert_eq!(set, "200 set", "{failure}");
            }
            let answer = call.await.unwrap();
            // Connections that were open serve on for a moment.
            if !answer.starts_with("200 ") {
                break answer;
            }
        };
        assert!(
            refused.starts_with("500 other: the store is unavailable: "),
            "{failure}: {refused}"
        );
        until_health(&self.node, self.class, Err(reason)).await;
        let health = self.node.node.stores().health().borrow().clone();
        let fault = health[self.class].clone().unwrap_err();
        for said in [&refused, &fault.message] {
            for secret in ["127.0.0.1", "localhost", "tenant", WORD] {
                assert!(!said.contains(secret), "{failure}: {said}");
            }
        }
    }

    /// It was mended: what was there is there, and more can be written.
    async fn recover(&self, failure: &str) {
        until_health(&self.node, self.class, Ok(())).await;
        let kept = async || text(self.victim, "/get/kept").await == "200 precious";
        eventually(&format!("{failure}: what was kept is there"), kept).await;
        let written = async || text(self.victim, "/set/more/1").await == "200 set";
        eventually(&format!("{failure}: more is written"), written).await;
    }
}

async fn apps(class: &'static str, described: shoal_runtime::stores::ClassDescription) -> Apps {
    let node = TestNode::start();
    node.node.stores().replace(vec![described]);
    let [victim, neighbour] = node
        .serve([app_of_class("victim", "kv", class), app("neighbour", "kv")])
        .await;
    until_health(&node, class, Ok(())).await;
    assert_eq!(text(victim, "/set/kept/precious").await, "200 set");
    Apps {
        node,
        class,
        victim,
        neighbour,
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

async fn tenant_of(server: &Server) {
    server
        .set_access("host all all 127.0.0.1/32 scram-sha-256")
        .await;
    let role = format!(
        "CREATE ROLE tenant LOGIN PASSWORD '{WORD}'; GRANT CREATE ON SCHEMA public TO tenant"
    );
    server.admin().await.batch_execute(&role).await.unwrap();
}

/// Changes the tenant's role and ends its sessions.
async fn alter_tenant(server: &Server, how: &str) {
    let alter = format!(
        "ALTER ROLE tenant {how};
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tenant'"
    );
    server.admin().await.batch_execute(&alter).await.unwrap();
}

#[tokio::test]
async fn every_failure_of_a_postgres_is_told_contained_and_survived() {
    let Some(mut server) = postgres_server("failures of Postgres").await else {
        return;
    };
    tenant_of(&server).await;
    let proxy = Proxy::to(local(server.port())).await;
    let url = format!(
        "postgres://tenant:{WORD}@{}/postgres?sslmode=disable",
        proxy.address
    );
    let apps = apps("pg", postgres(url)).await;

    server.kill();
    apps.fail("down", "/get/kept", Reason::Unreachable).await;
    server.start_again().await;
    apps.recover("down").await;

    proxy.hold();
    apps.fail("slow", "/get/kept", Reason::Unreachable).await;
    proxy.release();
    apps.recover("slow").await;

    server.set("default_transaction_read_only", "on").await;
    apps.fail("read-only", "/set/more/1", Reason::ReadOnly)
        .await;
    assert_eq!(text(apps.victim, "/get/kept").await, "200 precious");
    server.set("default_transaction_read_only", "off").await;
    apps.recover("read-only").await;

    alter_tenant(&server, "NOLOGIN").await;
    apps.fail("revoked", "/get/kept", Reason::CredentialsRefused)
        .await;
    alter_tenant(&server, "LOGIN").await;
    apps.recover("revoked").await;

    alter_tenant(&server, "CONNECTION LIMIT 0").await;
    apps.fail("no connections", "/get/kept", Reason::Unreachable)
        .await;
    alter_tenant(&server, "CONNECTION LIMIT -1").await;
    apps.recover("no connections").await;

    server.stop();
    apps.fail("moved", "/get/kept", Reason::Unreachable).await;
    server.start_elsewhere().await;
    proxy.lead_to(local(server.port()));
    apps.recover("moved").await;
}

#[tokio::test]
async fn every_failure_of_a_redis_is_told_contained_and_survived() {
    let saved = ["--appendonly", "yes", "--appendfsync", "always"];
    let Some(mut server) = RedisServer::start(&saved).await else {
        return;
    };
    let rule = format!(">{WORD}");
    let tenant = ["ACL", "SETUSER", "tenant", "on", "~shoal:*", "+@all", &rule];
    server.admin(&tenant).await;
    let proxy = Proxy::to(local(server.port)).await;
    let apps = apps(
        "redis",
        redis(format!("redis://tenant:{WORD}@{}", proxy.address)),
    )
    .await;

    server.kill();
    apps.fail("down", "/get/kept", Reason::Unreachable).await;
    server.start_again().await;
    server.admin(&tenant).await;
    apps.recover("down").await;

    proxy.hold();
    apps.fail("slow", "/get/kept", Reason::Unreachable).await;
    proxy.release();
    apps.recover("slow").await;

    server.admin(&["REPLICAOF", "127.0.0.1", "1"]).await;
    apps.fail("read-only", "/set/more/1", Reason::ReadOnly)
        .await;
    assert_eq!(text(apps.victim, "/get/kept").await, "200 precious");
    server.admin(&["REPLICAOF", "NO", "ONE"]).await;
    apps.recover("read-only").await;

    server.admin(&["CONFIG", "SET", "maxmemory", "1"]).await;
    apps.fail("full", "/set/more/2", Reason::ReadOnly).await;
    server.admin(&["CONFIG", "SET", "maxmemory", "0"]).await;
    apps.recover("full").await;

    server.admin(&["ACL", "SETUSER", "tenant", "off"]).await;
    server.admin(&["CLIENT", "KILL", "USER", "tenant"]).await;
    apps.fail("revoked", "/get/kept", Reason::CredentialsRefused)
        .await;
    server.admin(&["ACL", "SETUSER", "tenant", "on"]).await;
    apps.recover("revoked").await;

    server.kill();
    apps.fail("moved", "/get/kept", Reason::Unreachable).await;
    server.port = crate::support::redis_server::free_port();
    server.start_again().await;
    server.admin(&tenant).await;
    proxy.lead_to(local(server.port));
    apps.recover("moved").await;
}
