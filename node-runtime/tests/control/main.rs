//! The control stream against an operator of the test's own, over mutual TLS.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod operator;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use operator::{Operator, part};
use shoal_engine::EngineKey;
use shoal_protocol::{
    CertificateAuthority, Identity, Role,
    v1::{self, from_runtime},
};
use shoal_runtime::{
    Code, CodeSource, Digest, FetchError, Node, NodeConfig, StoreClasses,
    control::{Control, ControlConfig, Patience},
};
use shoal_stores::{
    Embedded, EmbeddedBlobs, EmbeddedSql, Memory,
    embedded::{Durability, EmbeddedOptions},
    memory::MemoryOptions,
};

const NODE: &str = "node1";
const POD: &str = "11111111-2222-3333-4444-555555555555";

/// Never gives any code: what these tests look at happens without.
struct NoCode;

#[async_trait]
impl CodeSource for NoCode {
    async fn fetch(&self, digest: &Digest, _: &EngineKey) -> Result<Code, FetchError> {
        Err(FetchError::Denied(digest.clone()))
    }
}

fn assignment(name: &str, port: u32) -> v1::Assignment {
    v1::Assignment {
        app: Some(v1::AppRef {
            namespace: "ns".into(),
            name: name.into(),
            uid: "u".into(),
        }),
        revision: "r".into(),
        generation: "g".into(),
        port,
        components: vec![v1::Component {
            name: "c".into(),
            digest: format!("sha256:{}", "0".repeat(64)),
            routes: vec!["/...".into()],
            ..v1::Component::default()
        }],
        limits: Some(v1::Limits {
            memory_bytes: 1,
            instance_memory_bytes: 1,
            concurrency: 1,
            request_body_bytes: 1,
            response_start_ms: 1,
            idle_ms: 1,
            cpu_millis: 0,
        }),
        role: v1::assignment::Role::Serve.into(),
    }
}

fn start(folder: &Path, ca: &CertificateAuthority, operator: SocketAddr) -> (Node, Control) {
    std::fs::create_dir_all(folder.join("secrets")).unwrap();
    let stores = Embedded::open(&folder.join("stores"), EmbeddedOptions::default()).unwrap();
    let config = NodeConfig::new(folder.to_owned()).unwrap();
    let memory = Memory::new(MemoryOptions::default());
    let sql = EmbeddedSql::open(&folder.join("sql"), Durability::Relaxed).unwrap();
    let blobs = EmbeddedBlobs::open(&folder.join("blobs"), Durability::Relaxed).unwrap();
    let stores = StoreClasses::new(
        Arc::new(stores),
        Arc::new(memory),
        Arc::new(sql),
        Arc::new(blobs),
    );
    let node = Node::start(config, Arc::new(NoCode), stores).unwrap();
    let identity = part(
        ca,
        &Identity::new(Role::Runtime, "default", NODE, POD).unwrap(),
    );
    let config = ControlConfig {
        operator: operator.to_string(),
        pod_ips: vec!["10.0.0.1".parse().unwrap()],
        state_dir: folder.to_owned(),
        secrets_dir: folder.join("secrets"),
        // Longer than any of these tests takes.
        patience: Patience {
            operator: Duration::from_secs(600),
            ..Patience::default()
        },
    };
    let control = Control::start(config, node.clone(), identity);
    (node, control)
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(180);
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_node_says_who_it_is_obeys_and_reports() {
    let (folder, ca) = (
        tempfile::tempdir().unwrap(),
        CertificateAuthority::generate().unwrap(),
    );
    let (operator, address) = Operator::serve(&ca, 3).await;
    let (node, control) = start(folder.path(), &ca, address);
    eventually("hello", || {
        operator.heard(|m| {
            matches!(m, from_runtime::Message::Hello(hello)
            if hello.engine_key == node.engine_key().to_string() && hello.pod_ips == ["10.0.0.1"])
        })
    })
    .await;
    eventually("a full report", || {
        operator.heard(|m| matches!(m, from_runtime::Message::Report(report) if report.full))
    })
    .await;
    eventually("heartbeats", || {
        operator.heard(|m| matches!(m, from_runtime::Message::Heartbeat(_)))
    })
    .await;

    operator.assign(true, vec![assignment("a", 10_000), assignment("bad", 80)]);
    eventually("both apps are told of, each with its reason", || {
        let reports = operator.reports();
        let says = |name: &str, reason: &str, state: v1::app_report::State| {
            reports.iter().any(|report| {
                let app = report.app.clone().unwrap_or_default();
                app.name == name && report.reason == reason && report.state() == state
            })
        };
        says("a", "CodeUnavailable", v1::app_report::State::Fetching)
            && says("bad", "InvalidAssignment", v1::app_report::State::Failed)
    })
    .await;

    let drained = tokio::spawn(async move { control.drain(Duration::from_secs(600)).await });
    eventually("draining", || {
        operator.heard(|m| matches!(m, from_runtime::Message::Draining(_)))
    })
    .await;
    assert!(
        !drained.is_finished(),
        "it serves on until the operator says that it may go"
    );
    operator.drained();
    tokio::time::timeout(Duration::from_secs(180), drained)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn the_next_process_takes_up_what_was_obeyed_with_no_operator_there() {
    let (folder, ca) = (
        tempfile::tempdir().unwrap(),
        CertificateAuthority::generate().unwrap(),
    );
    let (operator, address) = Operator::serve(&ca, 3).await;
    let (node, _control) = start(folder.path(), &ca, address);
    operator.assign(true, vec![assignment("a", 10_000)]);
    operator.assign(false, vec![assignment("b", 10_001)]);
    let app = |name: &str| shoal_runtime::AppRef {
        namespace: "ns".into(),
        name: name.into(),
        uid: "u".into(),
    };
    eventually("both run", || {
        node.report(&app("a")).is_some() && node.report(&app("b")).is_some()
    })
    .await;
    let kept = folder.path().join("assignments");
    eventually("both are kept", || {
        std::fs::read(&kept).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains('b'))
    })
    .await;
    node.shutdown(Duration::from_secs(5)).await;
    drop(node);

    let nobody = "127.0.0.1:1".parse().unwrap();
    let next = tempfile::tempdir().unwrap();
    std::fs::copy(&kept, next.path().join("assignments")).unwrap();
    let (node, control) = start(next.path(), &ca, nobody);
    assert!(!control.is_settled(), "what is kept does not serve yet");
    eventually("a runs again", || node.report(&app("a")).is_some()).await;
    eventually("and why it cannot be served is known", || {
        control.is_settled()
    })
    .await;
}

#[tokio::test]
async fn a_node_that_kept_nothing_is_ready_when_its_first_apps_are() {
    let (folder, ca) = (
        tempfile::tempdir().unwrap(),
        CertificateAuthority::generate().unwrap(),
    );
    let (operator, address) = Operator::serve(&ca, 3).await;
    let (_node, control) = start(folder.path(), &ca, address);
    eventually("it is connected", || {
        operator.heard(|m| matches!(m, from_runtime::Message::Report(report) if report.full))
    })
    .await;
    assert!(!control.is_settled(), "nobody said what it is to run");
    operator.assign(true, vec![assignment("a", 10_000), assignment("bad", 80)]);
    eventually("each of them has its outcome", || control.is_settled()).await;
    let reports = operator.reports();
    assert!(
        reports
            .iter()
            .all(|report| report.state() != v1::app_report::State::Ready)
    );
}

/// A class on a server that is not there, with a password.
fn unreachable_class(word: &str) -> v1::StoreClass {
    v1::StoreClass {
        name: "away".into(),
        backend: Some(v1::store_class::Backend::Redis(v1::RedisBackend {
            url: format!("redis://user:{word}@127.0.0.1:1"),
            ..v1::RedisBackend::default()
        })),
        ..v1::StoreClass::default()
    }
}

/// Whether any file below `folder` but those of `but` holds `text`.
fn holds(folder: &Path, but: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path == but {
            return false;
        }
        match path.is_dir() {
            true => holds(&path, but, text),
            false => String::from_utf8_lossy(&std::fs::read(path).unwrap()).contains(text),
        }
    })
}

#[tokio::test]
async fn classes_of_stores_are_kept_in_memory_alone_and_told_of() {
    let (folder, ca) = (
        tempfile::tempdir().unwrap(),
        CertificateAuthority::generate().unwrap(),
    );
    let (operator, address) = Operator::serve(&ca, 3).await;
    let (node, _control) = start(folder.path(), &ca, address);
    let word = "s3cret-word";
    operator.describe(vec![unreachable_class(word)]);
    operator.assign(true, vec![assignment("a", 10_000)]);
    eventually("it is told how each does", || {
        operator.health().last().is_some_and(|health| {
            let find = |name: &str| health.classes.iter().find(|class| class.class == name);
            let fails = |class: &v1::ClassHealth| !class.reachable && class.reason == "Unreachable";
            find("embedded").is_some_and(|class| class.reachable) && find("away").is_some_and(fails)
        })
    })
    .await;
    let health = operator.health();
    assert!(health.windows(2).all(|two| two[0] != two[1]), "{health:?}");
    assert!(!format!("{health:?}").contains(word), "{health:?}");
    let secrets = folder.path().join("secrets");
    let kept = secrets.join("store-classes");
    eventually("they are kept", || kept.exists()).await;
    let assignments = folder.path().join("assignments");
    eventually("so are the assignments", || assignments.exists()).await;
    assert!(!holds(folder.path(), &secrets, word));
    node.shutdown(Duration::from_secs(5)).await;

    let next = tempfile::tempdir().unwrap();
    std::fs::create_dir(next.path().join("secrets")).unwrap();
    std::fs::copy(&kept, next.path().join("secrets/store-classes")).unwrap();
    let (node, _control) = start(next.path(), &ca, "127.0.0.1:1".parse().unwrap());
    let health = node.stores().health();
    eventually("the next process knows them without an operator", || {
        health.borrow().contains_key("away")
    })
    .await;
}
