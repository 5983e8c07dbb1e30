//! What runs changes, and nobody notices.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use shoal_crds::Reason;
use shoal_runtime::{Assignments, InvalidAssignment, Role, State};

use crate::support::{LONG, TestNode, app, app_ref, client::*, component, eventually};

#[tokio::test]
async fn a_new_revision_takes_over_without_a_failed_request() {
    let node = TestNode::start();
    let [address] = node.serve([app("a", "hello-v1")]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    let answer = get(address, "/").await;
                    assert!(answer.status == 200 && !answer.broken, "{answer:?}");
                    seen.push(answer.text());
                }
                seen.push(get(address, "/").await.text());
                seen
            })
        })
        .collect();
    let mut next = app("a", "hello-v2");
    next.port = 0;
    let [same] = node.serve([next]).await;
    assert_eq!(same, address, "the port stays open");
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        let seen = client.await.unwrap();
        let changes = seen.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(changes <= 1, "answers changed {changes} times");
        assert_eq!(seen.last().unwrap(), "v2");
    }
}

#[tokio::test]
async fn a_request_that_began_ends_on_the_revision_that_it_began_on() {
    let node = TestNode::start();
    let [address] = node.serve([app("a", "echo")]).await;
    let slow = Raw::begin_echo(address).await;
    node.until_running(1).await;
    node.serve([app("a", "hello-v2")]).await;
    assert_eq!(get(address, "/").await.text(), "v2");
    let answer = slow.end_echo().await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("echo"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_revision_that_does_not_link_leaves_the_old_one_serving() {
    let node = TestNode::start();
    let [address] = node.serve([app("a", "hello-v1")]).await;
    node.apply([app("a", "unknown-import")]);
    let report = node
        .until(&app_ref("a"), |report| report.state == State::Failed)
        .await;
    assert_eq!(report.reason, Some(Reason::LinkFailed));
    assert!(
        report.message.contains("acme:widgets/thing"),
        "{}",
        report.message
    );
    assert_eq!(
        report.serving_revision.as_deref(),
        Some("revision-of-hello-v1")
    );
    assert_eq!(report.generation, "generation-of-unknown-import");
    assert_eq!(get(address, "/").await.text(), "v1");
    node.serve([app("a", "hello-v2")]).await;
    assert_eq!(
        get(address, "/").await.text(),
        "v2",
        "what is mended is served"
    );
}

#[tokio::test]
async fn an_app_without_a_handler_says_so() {
    let node = TestNode::start();
    node.apply([app("a", "no-handler")]);
    let report = node
        .until(&app_ref("a"), |report| report.state == State::Failed)
        .await;
    assert!(
        report.message.contains("wasi:http/incoming-handler"),
        "{}",
        report.message
    );
    assert_eq!((report.serving_revision, report.address), (None, None));
}

#[tokio::test]
async fn settings_change_live_without_a_new_revision() {
    let node = TestNode::start();
    let [address] = node.serve([app("a", "echo")]).await;
    assert_eq!(post(address, "/", "12345").await.status, 200);
    let mut changed = app("a", "echo");
    changed.generation = "later".into();
    changed.limits.request_body = 4;
    let [same] = node.serve([changed]).await;
    assert_eq!(same, address);
    assert_eq!(post(address, "/", "12345").await.status, 413);
}

#[tokio::test]
async fn a_port_that_is_taken_is_reported_and_tried_again() {
    let node = TestNode::start();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut taken = app("a", "hello");
    taken.port = other.local_addr().unwrap().port();
    node.apply([taken.clone(), app("b", "hello")]);
    let report = node
        .until(&app_ref("a"), |report| report.state == State::Failed)
        .await;
    assert_eq!(report.reason, Some(Reason::PortUnavailable));
    assert!(
        report.message.contains(&taken.port.to_string()),
        "{}",
        report.message
    );
    node.until(&app_ref("b"), |report| report.state == State::Ready)
        .await;
    drop(other);
    node.until(&app_ref("a"), |report| report.state == State::Ready)
        .await;
}

/// Removes an app that lingers for so long. Whether it answered then.
async fn answers_after_its_removal(linger: Duration) -> bool {
    let node = TestNode::with(|config| config.linger = linger);
    let [a, b] = node.serve([app("a", "hello"), app("b", "hello")]).await;
    let mut kept_alive = Raw::connect(a).await;
    kept_alive.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    kept_alive.read_until("\r\n\r\n").await;
    let mut reports = node.node.reports();
    reports.all();
    node.node.apply(Assignments {
        removed: vec![app_ref("a")],
        ..Assignments::default()
    });
    let answered = match tokio::net::TcpStream::connect(a).await {
        Ok(stream) => {
            let mut last = Raw(stream);
            last.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            last.read_until("\r\n").await.starts_with("HTTP/1.1 200")
        }
        Err(_) => false,
    };
    let gone = reports.changed().await;
    assert_eq!(gone.removed, [app_ref("a")]);
    eventually("its port is closed", async || {
        tokio::net::TcpStream::connect(a).await.is_err()
    })
    .await;
    assert!(
        kept_alive.read_to_end().await.is_some(),
        "a quiet connection ends"
    );
    assert_eq!(get(b, "/").await.status, 200);
    answered
}

#[tokio::test]
async fn a_removed_app_answers_a_little_longer_and_then_its_port_is_closed() {
    // On a machine that stood still for as long as it lingers, it shows nothing.
    for milliseconds in [500, 2000, 8000, 32_000] {
        if answers_after_its_removal(Duration::from_millis(milliseconds)).await {
            return;
        }
    }
    panic!("it does not answer any more");
}

#[tokio::test]
async fn a_draining_app_answers_and_asks_clients_to_connect_anew() {
    let node = TestNode::start();
    let mut draining = app("a", "hello");
    draining.role = Role::Drain;
    let [address] = node.serve([draining]).await;
    let answer = get(address, "/").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("connection")),
        (200, "close")
    );
}

#[tokio::test]
async fn a_standby_has_the_code_and_no_port() {
    let node = TestNode::start();
    let mut standby = app("a", "hello");
    standby.role = Role::Standby;
    node.apply([standby]);
    let report = node
        .until(&app_ref("a"), |report| report.state == State::Standby)
        .await;
    assert_eq!(report.address, None);
    node.guests.away.store(true, Ordering::SeqCst);
    let mut promoted = app("a", "hello");
    promoted.generation = "promoted".into();
    let [address] = node.serve([promoted]).await;
    assert_eq!(
        get(address, "/").await.status,
        200,
        "nobody was asked for the code again"
    );
}

#[tokio::test]
async fn two_routes_that_are_the_same_are_named() {
    let node = TestNode::start();
    let mut twice = app("a", "hello");
    twice
        .components
        .push(component("other", "hello-v2", "/..."));
    node.apply([twice]);
    let report = node
        .until(&app_ref("a"), |report| report.state == State::Failed)
        .await;
    assert_eq!(report.reason, Some(Reason::InvalidRoute));
}

#[tokio::test]
async fn shutdown_lets_requests_end_and_closes_every_port() {
    let node = TestNode::start();
    let [address] = node.serve([app("a", "echo")]).await;
    let slow = Raw::begin_echo(address).await;
    node.until_running(1).await;
    // It has begun when the request ends.
    let (answer, ()) = tokio::join!(
        async {
            tokio::task::yield_now().await;
            slow.end_echo().await
        },
        node.node.shutdown(2 * LONG),
    );
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_is_not_listed_is_stopped_unless_it_is_to_be_kept() {
    let node = TestNode::start();
    let [a, _, c] = node
        .serve([app("a", "hello"), app("b", "hello"), app("c", "hello")])
        .await;
    let keep = Assignments {
        keep: vec![app_ref("a")],
        ..Assignments::all([app("c", "hello")])
    };
    node.node.apply(keep);
    let mut reports = node.node.reports();
    eventually("b is gone", async || reports.all().len() == 2).await;
    let names: BTreeSet<_> = reports
        .all()
        .into_iter()
        .map(|report| report.app.name)
        .collect();
    assert_eq!(names, ["a".to_owned(), "c".to_owned()].into());
    assert_eq!(get(a, "/").await.status, 200);
    assert_eq!(get(c, "/").await.status, 200);
}

#[tokio::test]
async fn an_app_that_is_wanted_again_while_it_leaves_stays() {
    let node = TestNode::with(|config| config.linger = Duration::from_secs(2));
    let [address] = node.serve([app("a", "hello")]).await;
    for _ in 0..3 {
        node.apply([]);
        let [same] = node.serve([app("a", "hello")]).await;
        assert_eq!(same, address);
        assert_eq!(get(address, "/").await.status, 200);
    }
    node.apply([]);
    let mut reports = node.node.reports();
    eventually("it is gone", async || reports.all().is_empty()).await;
    let [_] = node.serve([app("a", "hello")]).await;
}

#[tokio::test]
async fn what_was_not_valid_and_is_put_right_is_ready_again() {
    let node = TestNode::start();
    let [address] = node.serve([app("a", "hello-v1")]).await;
    let invalid = InvalidAssignment {
        app: app_ref("a"),
        generation: "invalid".into(),
        message: "the test says so".into(),
    };
    let set = vec![Err(invalid)];
    node.node.apply(Assignments {
        full: true,
        set,
        ..Assignments::default()
    });
    let report = node
        .until(&app_ref("a"), |r| r.state == State::Failed)
        .await;
    assert_eq!(
        (report.generation.as_str(), report.address),
        ("invalid", Some(address))
    );
    assert_eq!(
        report.serving_revision.as_deref(),
        Some("revision-of-hello-v1")
    );
    assert_eq!(get(address, "/").await.text(), "v1", "what serves goes on");
    let [same] = node.serve([app("a", "hello-v1")]).await;
    assert_eq!(same, address);
}
