//! Code is mapped by the first request of an app, and goes where there is no room for it or nobody uses it.

use std::{fs, sync::atomic::Ordering, time::Duration};

use shoal_crds::Reason;
use shoal_runtime::{AppReport, State, code::Amount};

use crate::support::{
    TestNode, app, app_ref,
    client::{Raw, get},
    eventually,
};

/// Room for the code of so many components.
fn room(components: u64) -> Option<Amount> {
    Some(Amount {
        mappings: components * 3,
        descriptors: 1000,
        bytes: 1 << 30,
    })
}

/// Components whose code is mapped.
fn mapped(node: &TestNode) -> u64 {
    let metrics = node.node.metrics();
    let name = "shoal_runtime_budget{resource=\"code_descriptors\",what=\"used\"} ";
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().parse().unwrap()
}

fn cold_starts(node: &TestNode, app: &str) -> u64 {
    let metrics = node.node.metrics();
    let app = app_ref(app);
    let name = format!(
        "shoal_app_cold_starts_total{{namespace=\"{}\",app=\"{}\"}} ",
        app.namespace, app.name
    );
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name.as_str()));
    line.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn code_that_nobody_uses_is_unmapped_and_the_next_request_has_it_again() {
    let node = TestNode::with(|config| config.code_idle = Duration::from_secs(1));
    let [address] = node.serve([app("a", "hello")]).await;
    assert_eq!(get(address, "/").await.status, 200);
    for before in 0..2 {
        eventually("it is unmapped", async || mapped(&node) == 0).await;
        assert_eq!(node.node.report(&app_ref("a")).unwrap().state, State::Ready);
        assert_eq!(get(address, "/").await.status, 200);
        assert_eq!(cold_starts(&node, "a"), before + 1);
    }
    assert_eq!(node.guests.fetches.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn code_that_answers_a_request_stays_however_long_it_takes() {
    let node = TestNode::with(|config| config.code_idle = Duration::from_secs(1));
    let [echo, hello] = node
        .serve([app("echo", "echo"), app("hello", "hello")])
        .await;
    let held = Raw::begin_echo(echo).await;
    eventually("the other is unmapped", async || mapped(&node) == 1).await;
    assert!(held.end_echo().await.starts_with("HTTP/1.1 200"));
    eventually("both are unmapped", async || mapped(&node) == 0).await;
    assert_eq!(get(hello, "/").await.status, 200);
}

#[tokio::test]
async fn more_apps_than_there_is_room_for_take_turns() {
    let node = TestNode::with(|config| config.code_room = room(2));
    let guests = ["hello", "hello-v1", "hello-v2", "echo", "env"];
    let addresses = node.serve(guests.map(|guest| app(guest, guest))).await;
    for _ in 0..3 {
        for address in addresses {
            assert_eq!(get(address, "/").await.status, 200);
            assert!(mapped(&node) <= 2);
        }
    }
}

#[tokio::test]
async fn without_room_the_app_says_what_there_is_too_little_of_and_what_runs_goes_on() {
    let node = TestNode::with(|config| config.code_room = room(1));
    let [echo] = node.serve([app("echo", "echo")]).await;
    let held = Raw::begin_echo(echo).await;
    node.until_running(1).await;
    node.apply([app("echo", "echo"), app("hello", "hello")]);
    let full = |report: &AppReport| report.reason == Some(Reason::NodeFull);
    let report = node.until(&app_ref("hello"), full).await;
    assert!(
        report.message.contains("3 code_mappings are in use"),
        "{}",
        report.message
    );
    assert!(held.end_echo().await.starts_with("HTTP/1.1 200"));
    let ready = |report: &AppReport| report.state == State::Ready;
    let report = node.until(&app_ref("hello"), ready).await;
    assert_eq!(get(report.address.unwrap(), "/").await.status, 200);
}

#[tokio::test]
async fn a_request_whose_code_finds_no_room_gets_503_and_its_app_stays_ready() {
    let node = TestNode::with(|config| config.code_room = room(1));
    let [hello, echo] = node
        .serve([app("hello", "hello"), app("echo", "echo")])
        .await;
    let held = Raw::begin_echo(echo).await;
    node.until_running(1).await;
    let answer = get(hello, "/").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(
        node.node.report(&app_ref("hello")).unwrap().state,
        State::Ready
    );
    assert!(held.end_echo().await.starts_with("HTTP/1.1 200"));
    eventually("there is room", async || {
        get(hello, "/").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn code_that_was_changed_while_unmapped_is_fetched_again_and_its_absence_is_told() {
    let node = TestNode::with(|config| config.code_idle = Duration::from_secs(1));
    let [address] = node.serve([app("a", "hello")]).await;
    eventually("it is unmapped", async || mapped(&node) == 0).await;
    let file = fs::read_dir(node.folder.path().join("code"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "code"))
        .unwrap();
    let whole = fs::read(&file).unwrap();
    for at in [0, whole.len() / 2, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&file, changed).unwrap();
        eventually("it is unmapped", async || mapped(&node) == 0).await;
        assert!(get(address, "/").await.text().starts_with("hello"));
        assert_eq!(fs::read(&file).unwrap(), whole, "it was fetched again");
        eventually("it is unmapped", async || mapped(&node) == 0).await;
    }
    node.guests.away.store(true, Ordering::SeqCst);
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let answer = get(address, "/").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    let lost = |report: &AppReport| report.reason == Some(Reason::CodeUnavailable);
    node.until(&app_ref("a"), lost).await;
    node.guests.away.store(false, Ordering::SeqCst);
    node.until(&app_ref("a"), |report| report.state == State::Ready)
        .await;
    assert_eq!(get(address, "/").await.status, 200);
}

#[tokio::test]
async fn many_first_requests_at_once_are_one_mapping() {
    let node = TestNode::with(|config| config.code_idle = Duration::from_secs(1));
    let [address] = node.serve([app("a", "hello")]).await;
    eventually("it is unmapped", async || mapped(&node) == 0).await;
    let answers = futures::future::join_all((0..32).map(|_| get(address, "/"))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(mapped(&node), 1);
}
