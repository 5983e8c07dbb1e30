//! Classes on servers of their own: a real Redis, a real Postgres.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use shoal_crds::Reason;
use shoal_runtime::stores::{ClassBackend, ClassDescription, Standing};
use shoal_stores::{
    PlaceId, RedisOptions,
    postgres::{PostgresOptions, Secret},
};

use crate::support::{
    TestNode, app, app_of_class, client::*, eventually, postgres_server::Server,
    redis_server::RedisServer,
};

pub(crate) async fn text(address: SocketAddr, path: &str) -> String {
    let answer = get(address, path).await;
    format!("{} {}", answer.status.as_u16(), answer.text())
}

pub(crate) fn redis(url: String) -> ClassDescription {
    let options = RedisOptions {
        url,
        max_connections: 4,
        ..RedisOptions::default()
    };
    ClassDescription::new("redis", ClassBackend::Redis(options))
}

pub(crate) fn postgres(url: String) -> ClassDescription {
    let mut options = PostgresOptions::new(Secret::new(url));
    options.max_connections = 4;
    ClassDescription::new("pg", ClassBackend::Postgres(options))
}

pub(crate) async fn postgres_server(test: &str) -> Option<Server> {
    let server = Server::start().await;
    server
        .inspect_err(|why| shoal_skip::skipped(format_args!("{test}: {why}")))
        .ok()
}

/// Waits until a class is told to fail for a reason, or to do well.
pub(crate) async fn until_health(node: &TestNode, class: &str, wanted: Result<(), Reason>) {
    let mut health = node.node.stores().health();
    let is =
        |reported: &Standing| reported.as_ref().err().map(|fault| fault.reason) == wanted.err();
    let told = health.wait_for(|health| health.get(class).is_some_and(is));
    let waited = tokio::time::timeout(crate::support::LONG, async { told.await.map(drop) }).await;
    if waited.is_err() {
        let is = node.node.stores().health().borrow().get(class).cloned();
        panic!("{class} is never {wanted:?} but {is:?}");
    }
}

/// Adds to a number in a Store until told to stop; every call must be answered.
async fn count(address: SocketAddr, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let answer = text(address, "/incr/n").await;
        assert!(answer.starts_with("200 "), "{answer}");
        done.fetch_add(1, Ordering::Relaxed);
    }
}

struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    callers: Vec<tokio::task::JoinHandle<()>>,
    address: SocketAddr,
}

impl Load {
    fn on(address: SocketAddr) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let caller = |_| tokio::spawn(count(address, Arc::clone(&stop), Arc::clone(&done)));
        let callers = (0..4).map(caller).collect();
        Self {
            stop,
            done,
            callers,
            address,
        }
    }

    /// Waits until many more calls were answered.
    async fn goes_on(&self) {
        let before = self.done.load(Ordering::Relaxed);
        eventually("the load goes on", async || {
            assert!(self.callers.iter().all(|caller| !caller.is_finished()));
            self.done.load(Ordering::Relaxed) > before + 50
        })
        .await;
    }

    /// Ends it: no call failed, and none was lost.
    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.unwrap();
        }
        let done = self.done.load(Ordering::Relaxed);
        assert_eq!(text(self.address, "/get/n").await, format!("200 {done}"));
    }
}

#[tokio::test]
async fn a_redis_that_goes_and_comes_back_takes_nobody_along() {
    let Some(mut server) = RedisServer::start(&["--appendonly", "yes"]).await else {
        return;
    };
    let node = TestNode::start();
    node.node.stores().replace(vec![redis(server.url())]);
    let [kv, well] = node
        .serve([app_of_class("a", "kv", "redis"), app("b", "kv")])
        .await;
    until_health(&node, "redis", Ok(())).await;
    assert_eq!(text(kv, "/set/x/one").await, "200 set");

    server.kill();
    let failed = text(kv, "/get/x").await;
    assert!(
        failed.starts_with("500 other: the store is unavailable"),
        "{failed}"
    );
    assert!(!failed.contains("127.0.0.1"), "{failed}");
    until_health(&node, "redis", Err(Reason::Unreachable)).await;
    assert_eq!(text(well, "/set/x/one").await, "200 set");
    let limit = "shoal_store_connections{class=\"redis\",state=\"limit\"} 4\n";
    assert!(node.node.metrics().contains(limit));
    let unavailable = "class=\"redis\",op=\"get\",result=\"unavailable\"} 1\n";
    assert!(node.node.metrics().contains(unavailable));

    server.start_again().await;
    until_health(&node, "redis", Ok(())).await;
    assert_eq!(text(kv, "/get/x").await, "200 one");
}

#[tokio::test]
async fn a_redis_password_changes_under_load_and_no_call_fails() {
    let Some(server) = RedisServer::start(&[]).await else {
        return;
    };
    let user = async |rule: &str| {
        let rules = ["ACL", "SETUSER", "app", "on", "~shoal:*", "+@all", rule];
        server.admin(&rules).await;
    };
    let with = |word: &str| redis(format!("redis://app:{word}@127.0.0.1:{}", server.port));
    user(">word-0").await;
    let node = TestNode::start();
    node.node.stores().replace(vec![with("word-0")]);
    let [kv] = node.serve([app_of_class("a", "kv", "redis")]).await;
    let load = Load::on(kv);
    for round in 1..=3 {
        load.goes_on().await;
        // It is known here before the server knows it: what was in use stays in use.
        node.node
            .stores()
            .replace(vec![with(&format!("word-{round}"))]);
        until_health(&node, "redis", Err(Reason::CredentialsRefused)).await;
        load.goes_on().await;
        user(&format!(">word-{round}")).await;
        until_health(&node, "redis", Ok(())).await;
        user(&format!("<word-{}", round - 1)).await;
        load.goes_on().await;
    }
    load.end().await;
}

/// What is said of a class that does well.
async fn found(node: &TestNode) -> Option<PlaceId> {
    let mut health = node.node.stores().health();
    let is_well = |class: &&Standing| class.is_ok();
    let told = health.wait_for(|health| health.get("redis").as_ref().is_some_and(is_well));
    told.await.unwrap()["redis"].clone().unwrap()
}

#[tokio::test]
async fn a_url_that_leads_elsewhere_is_not_taken_and_what_was_in_use_serves_on() {
    let (Some(server), Some(other)) =
        (RedisServer::start(&[]).await, RedisServer::start(&[]).await)
    else {
        return;
    };
    let at = |server: &RedisServer, place| {
        let mut class = redis(server.url());
        if let ClassBackend::Redis(options) = &mut class.backend {
            options.place = place;
        }
        vec![class]
    };
    let node = TestNode::start();
    node.node.stores().replace(at(&server, None));
    let [kv] = node.serve([app_of_class("a", "kv", "redis")]).await;
    assert_eq!(text(kv, "/set/x/one").await, "200 set");
    let place = found(&node).await;
    assert!(place.is_some(), "it is to be recorded");
    let connections = server.connection_ids().await;
    node.node.stores().replace(at(&server, place));
    eventually("it is told no more", async || found(&node).await.is_none()).await;
    assert_eq!(server.connection_ids().await, connections, "the same go on");

    node.node.stores().replace(at(&other, place));
    until_health(&node, "redis", Err(Reason::InvalidConfiguration)).await;
    assert_eq!(text(kv, "/get/x").await, "200 one");
    assert_eq!(other.dump().await, [], "nothing is made there");
    node.node.stores().replace(at(&server, place));
    until_health(&node, "redis", Ok(())).await;

    // Another node was heard first, of another place: this one is not that.
    let first = Some("00000000000000aa".parse().unwrap());
    node.node.stores().replace(at(&server, first));
    until_health(&node, "redis", Err(Reason::InvalidConfiguration)).await;
    let refused = text(kv, "/get/x").await;
    assert!(
        refused.starts_with("500 other: the store is unavailable"),
        "{refused}"
    );

    // The record is cleared: the data is where the URL leads now.
    node.node.stores().replace(at(&other, None));
    eventually("it is found", async || found(&node).await.is_some()).await;
    assert_ne!(found(&node).await, place);
    assert_eq!(text(kv, "/get/x").await, "404 no such key");
}

#[tokio::test]
async fn a_postgres_role_changes_under_load_and_no_call_fails() {
    let Some(server) = postgres_server("a role that changes").await else {
        return;
    };
    server
        .set_access("host all all 127.0.0.1/32 scram-sha-256")
        .await;
    let admin = server.admin().await;
    let role =
        "CREATE ROLE tenant LOGIN PASSWORD 'word-0'; GRANT CREATE ON SCHEMA public TO tenant";
    admin.batch_execute(role).await.unwrap();
    let with = |word: &str| postgres(server.url_of("tenant", word));
    let node = TestNode::start();
    node.node.stores().replace(vec![with("word-0")]);
    let [kv] = node.serve([app_of_class("a", "kv", "pg")]).await;
    let load = Load::on(kv);
    for round in 1..=3 {
        load.goes_on().await;
        let word = format!("word-{round}");
        let alter = format!("ALTER ROLE tenant PASSWORD '{word}'");
        admin.batch_execute(&alter).await.unwrap();
        node.node.stores().replace(vec![with(&word)]);
        load.goes_on().await;
    }
    until_health(&node, "pg", Ok(())).await;
    load.end().await;
}

#[tokio::test]
async fn many_apps_of_a_class_share_its_connections() {
    let Some(server) = postgres_server("many apps of a class").await else {
        return;
    };
    let node = TestNode::start();
    node.node.stores().replace(vec![postgres(server.url())]);
    let apps: [_; 20] = std::array::from_fn(|n| app_of_class(&format!("a{n}"), "kv", "pg"));
    let addresses = node.serve(apps).await;
    let all: Vec<_> = (0..100)
        .map(|n| {
            let address = addresses[n % addresses.len()];
            tokio::spawn(async move { text(address, "/incr/n").await })
        })
        .collect();
    for answer in all {
        assert!(answer.await.unwrap().starts_with("200 "));
    }
    for address in addresses {
        assert_eq!(
            text(address, "/get/n").await,
            "200 5",
            "each app has its own"
        );
    }
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
                    AND client_addr IS NOT NULL";
    let admin = server.admin().await;
    // The class looks at its server now and then, and gives back what it did that with.
    eventually("the sessions are those that are told", async || {
        let sessions: i64 = admin.query_one(sessions, &[]).await.unwrap().get(0);
        assert!(sessions <= 4, "{sessions}");
        let metrics = node.node.metrics();
        [("open", sessions), ("busy", 0), ("limit", 4)]
            .into_iter()
            .all(|(state, count)| {
                let of = format!("shoal_store_connections{{class=\"pg\",state=\"{state}\"}}");
                sessions > 0 && metrics.contains(&format!("{of} {count}\n"))
            })
    })
    .await;
}
