//! SQL databases as guests see them, through each version of Spin's interface.

use std::net::SocketAddr;

use shoal_crds::Reason;
use shoal_runtime::{
    Assignment,
    stores::{ClassBackend, ClassDescription},
};
use shoal_stores::StoreLimits;

use super::store_servers::until_health;
use crate::support::{TestNode, app, client::*, limited, sql_app};

const GUESTS: [&str; 4] = ["sqlite", "sqlite-v1", "sqlite-v3-0", "sqlite-v3"];

/// One app for each of [`GUESTS`].
fn apps() -> [Assignment; 4] {
    GUESTS.map(|guest| sql_app(guest, guest))
}

async fn text(address: SocketAddr, path: &str) -> String {
    let answer = get(address, path).await;
    format!("{} {}", answer.status.as_u16(), answer.text())
}

/// A line for each statement, all of one connection.
async fn run(address: SocketAddr, statements: &[&str]) -> Vec<String> {
    let answer = post(address, "/run", statements.join("\n")).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    answer.text().split('\n').map(str::to_owned).collect()
}

#[tokio::test]
async fn all_versions_read_what_they_wrote_and_another_instance_does_as_well() {
    let node = TestNode::start();
    for sqlite in node.serve(apps()).await {
        assert_eq!(text(sqlite, "/values").await, "200 the same");
        let lines = run(
            sqlite,
            &[
                "CREATE TABLE t(id INTEGER PRIMARY KEY, a)",
                "INSERT INTO t(a) VALUES ('x'), (NULL)",
                "SELECT last_insert_rowid(), changes()",
            ],
        );
        assert_eq!(lines.await, ["", "", "2,2;"]);
        let lines = run(sqlite, &["SELECT * FROM t ORDER BY id"]);
        assert_eq!(lines.await, ["1,x;2,NULL;"]);
    }
}

#[tokio::test]
async fn databases_of_two_apps_are_two() {
    let node = TestNode::start();
    let [a, b] = node
        .serve([sql_app("a", GUESTS[0]), sql_app("b", GUESTS[1])])
        .await;
    run(a, &["CREATE TABLE secret(a)"]).await;
    let lines = run(b, &["SELECT * FROM secret"]).await;
    assert_eq!(lines, ["!io: no such table: secret"]);
}

#[tokio::test]
async fn a_transaction_is_its_connections_own_and_ends_with_it() {
    let node = TestNode::start();
    for sqlite in node.serve(apps()).await {
        assert_eq!(text(sqlite, "/twice").await, "200 0;0;1;");
        run(
            sqlite,
            &["CREATE TABLE t(a)", "BEGIN", "INSERT INTO t VALUES (1)"],
        )
        .await;
        // The guest has ended: its transaction is in nobody's way.
        let lines = run(sqlite, &["INSERT INTO t VALUES (2)", "SELECT a FROM t"]).await;
        assert_eq!(lines, ["", "2;"]);
    }
}

#[tokio::test]
async fn errors_are_the_interfaces_own_and_name_no_path() {
    let node = TestNode::start();
    let [v2, v1, v3_0, v3] = apps();
    let [v2, v1, v3_0, v3, without] = node.serve([v2, v1, v3_0, v3, app("c", GUESTS[0])]).await;
    let all = [v2, v1, v3_0, v3];
    for sqlite in all {
        assert_eq!(
            text(sqlite, "/values?label=other").await,
            "500 access-denied"
        );
        assert_eq!(text(sqlite, "/connections/256").await, "200 256");
        assert_eq!(
            text(sqlite, "/connections/257").await,
            "500 io: too many connections opened: the limit is 256"
        );
        let folder = node.folder.path().display().to_string();
        for line in run(sqlite, &["ATTACH 'x' AS y", "nonsense", "VACUUM INTO 'x'"]).await {
            assert!(
                line.starts_with("!io: ") && !line.contains(&folder),
                "{line}"
            );
        }
    }
    assert_eq!(text(v1, "/closed").await, "500 invalid-connection");
    let of_key_value = text(without, "/values").await;
    assert_eq!(
        of_key_value, "500 access-denied",
        "the label is a key-value store's"
    );
}

#[tokio::test]
async fn a_full_database_is_one_and_its_owner_is_told() {
    let node = TestNode::start();
    let mut class = ClassDescription::new("small", ClassBackend::Embedded);
    class.limits = StoreLimits {
        bytes: Some(100_000),
        ..StoreLimits::default()
    };
    node.node.stores().replace(vec![class]);
    let mut notices = node.node.stores().notices();
    let mut sqlite = sql_app("a", GUESTS[0]);
    sqlite.components[0].stores[0].class = "small".into();
    let [sqlite] = node.serve([sqlite]).await;
    let insert = "INSERT INTO t VALUES (zeroblob(90000))";
    let lines = run(
        sqlite,
        &["CREATE TABLE t(a)", insert, "SELECT count(*) FROM t"],
    )
    .await;
    assert_eq!(lines, ["", "!database-full", "0;"]);
    let told = notices.recv().await.unwrap();
    assert!(told.message.contains("100000"), "{}", told.message);
}

#[tokio::test]
async fn a_class_of_another_backend_has_no_databases_and_says_so() {
    let node = TestNode::start();
    let class = ClassDescription::new("quick", ClassBackend::Memory);
    node.node.stores().replace(vec![class]);
    let mut sqlite = sql_app("a", GUESTS[1]);
    sqlite.components[0].stores[0].class = "quick".into();
    let [sqlite] = node.serve([sqlite]).await;
    let lines = run(sqlite, &["SELECT 1"]).await;
    assert!(
        lines[0].contains("`quick` has no SQL databases"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn what_passes_counts_as_the_guests_memory() {
    let node = TestNode::start();
    let mut small = limited("a", GUESTS[0], |limits| limits.memory = 4 << 20);
    small.components = sql_app("a", GUESTS[0]).components;
    let [sqlite] = node.serve([small]).await;
    assert_eq!(text(sqlite, "/large/1000").await, "200 1000");
    let refused = text(sqlite, "/large/1040000").await;
    let large = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 6)
                 SELECT zeroblob(1000000) FROM n";
    let large = large.replace('\n', " ");
    let lines = run(sqlite, &[&large, "SELECT 1"]).await;
    assert!(
        lines[0].contains("limits.memory is used up"),
        "{refused} {lines:?}"
    );
    assert_eq!(lines[1], "1;", "the guest goes on");
}

/// It may have waited for a disk that does nothing.
#[tokio::test]
async fn a_class_is_looked_at_when_the_time_of_a_statement_was_over() {
    let node = TestNode::start();
    let [sqlite] = node.serve([sql_app("a", GUESTS[0])]).await;
    until_health(&node, "embedded", Ok(())).await;
    node.store.ail(true);
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                   SELECT count(*) FROM n";
    let lines = run(sqlite, &[endless]).await;
    assert!(lines[0].contains("5 s"), "{lines:?}");
    until_health(&node, "embedded", Err(Reason::Unreachable)).await;
    node.store.ail(false);
    until_health(&node, "embedded", Ok(())).await;
}
