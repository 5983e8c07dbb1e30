//! What only the third version of Spin's interface has: what statements leave behind, streams of rows, and calls
//! beside each other.

use std::net::SocketAddr;

use crate::support::{TestNode, client::*, limited, sql_app};

const MANY: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000)";

async fn ask(address: SocketAddr, path: &str, statements: &str) -> String {
    let answer = post(address, path, statements.to_owned()).await;
    format!("{} {}", answer.status.as_u16(), answer.text())
}

async fn serve(node: &TestNode) -> SocketAddr {
    let [sqlite] = node.serve([sql_app("a", "sqlite-v3")]).await;
    sqlite
}

#[tokio::test]
async fn a_connection_says_what_its_own_statements_left_behind() {
    let node = TestNode::start();
    let both = [sql_app("a", "sqlite-v3"), sql_app("b", "sqlite-v3-0")];
    for sqlite in node.serve(both).await {
        assert_eq!(
            ask(sqlite, "/left-behind", "").await,
            "200 0,0;8,2;8,2;8,1;8,2;0,0;"
        );
    }
}

#[tokio::test]
async fn rows_come_as_a_stream_with_the_names_of_their_columns() {
    let node = TestNode::start();
    let sqlite = serve(&node).await;
    let few = "SELECT 1 AS one, 'x' AS \"the other\"";
    assert_eq!(
        ask(sqlite, "/stream", few).await,
        "200 one,the other 1 false all"
    );
    let many = format!("{MANY} SELECT i, zeroblob(1000) AS z FROM n");
    assert_eq!(ask(sqlite, "/stream", &many).await, "200 i,z 1000 true all");
    let none = "CREATE TABLE t(a)";
    assert_eq!(ask(sqlite, "/stream", none).await, "200  0 false all");
}

#[tokio::test]
async fn a_stream_that_is_left_leaves_its_connection_free() {
    let node = TestNode::start();
    let sqlite = serve(&node).await;
    let many = format!("{MANY} SELECT i, zeroblob(1000) AS z FROM n");
    for taken in [0, 3, 500] {
        let path = format!("/first/{taken}");
        assert_eq!(
            ask(sqlite, &path, &many).await,
            format!("200 {taken} free;")
        );
    }
    node.until_idle().await;
}

#[tokio::test]
async fn a_statement_that_fails_among_its_rows_gives_none_of_them() {
    let node = TestNode::start();
    let sqlite = serve(&node).await;
    let breaks = format!("{MANY} SELECT CASE WHEN i < 900 THEN i ELSE json('[') END FROM n");
    assert_eq!(
        ask(sqlite, "/stream", &breaks).await,
        "500 io: malformed JSON"
    );
    let both = format!("{breaks}\nSELECT 'goes on'");
    assert_eq!(
        ask(sqlite, "/run", &both).await,
        "200 !io: malformed JSON\ngoes on;"
    );
}

#[tokio::test]
async fn a_statement_past_its_deadline_gives_no_rows_and_holds_up_no_neighbour() {
    let node = TestNode::start();
    let [sqlite, neighbour] = node
        .serve([sql_app("a", "sqlite-v3"), sql_app("b", "sqlite-v3")])
        .await;
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 9";
    let (ended, served) = futures::future::join(
        ask(sqlite, "/stream", endless),
        ask(neighbour, "/values", ""),
    )
    .await;
    assert!(
        ended.starts_with("500 io: ") && ended.contains("5 s"),
        "{ended}"
    );
    assert_eq!(served, "200 the same");
    assert_eq!(
        ask(sqlite, "/run", "SELECT 'goes on'").await,
        "200 goes on;"
    );
}

#[tokio::test]
async fn calls_on_one_connection_are_done_in_the_order_of_their_begin() {
    let node = TestNode::start();
    let sqlite = serve(&node).await;
    let statements = [
        "CREATE TABLE t(a)",
        "BEGIN",
        "INSERT INTO t VALUES (1)",
        "SELECT count(*) FROM t",
        "ROLLBACK",
        "SELECT count(*) FROM t",
    ];
    assert_eq!(
        ask(sqlite, "/beside", &statements.join("\n")).await,
        "200 \n\n\n1;\n\n0;"
    );
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_no_transaction_behind() {
    let node = TestNode::start();
    let sqlite = serve(&node).await;
    ask(sqlite, "/run", "CREATE TABLE t(a)").await;
    for _ in 0..20 {
        assert_eq!(
            ask(sqlite, "/give-up", "BEGIN IMMEDIATE").await,
            "200 given up"
        );
        assert_eq!(
            ask(sqlite, "/run", "INSERT INTO t VALUES (1)").await,
            "200 "
        );
    }
}

#[tokio::test]
async fn rows_on_their_way_count_as_the_guests_memory() {
    let node = TestNode::start();
    let mut small = limited("a", "sqlite-v3", |limits| limits.memory = 4 << 20);
    small.components = sql_app("a", "sqlite-v3").components;
    let [sqlite] = node.serve([small]).await;
    let large = |rows: u32| {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {rows}) \
             SELECT zeroblob(100000) FROM n"
        )
    };
    assert_eq!(ask(sqlite, "/first/1", &large(10)).await, "200 1 free;");
    let refused = ask(sqlite, "/first/1", &large(60)).await;
    assert!(refused.contains("limits.memory is used up"), "{refused}");
    node.until_idle().await;
}
