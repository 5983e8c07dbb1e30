//! SQL databases.

use std::path::Path;

use shoal_stores::{
    EmbeddedSql, Health, Reason, Sql, SqlError, StoreId, StoreLimits,
    embedded::Durability,
    sql::{Session, SessionState, Statement, Value},
};

use crate::{again, disk, reason, take_writes_away};

const STORE: &str = "0b8f9d3e-7a44-4a5e-8c39-5d6c0ce3b1f2";
const OTHER: &str = "0b8f9d3e-7a44-4a5e-8c39-5d6c0ce3b1f3";
const INSERT: &str = "INSERT INTO t VALUES (1)";
const ROWS: i64 = 5;

fn open(folder: &Path) -> EmbeddedSql {
    EmbeddedSql::open(&folder.join("sql"), Durability::Full).unwrap()
}

fn session(store: &str) -> Session {
    let store: StoreId = store.parse().unwrap();
    Session::new(store)
}

async fn run(
    sql: &EmbeddedSql,
    session: &mut Session,
    text: &str,
) -> Result<Vec<Vec<Value>>, SqlError> {
    let statement = Statement {
        text: text.to_owned(),
        parameters: Vec::new(),
    };
    let answer = sql.execute(session, statement, StoreLimits::default());
    answer.await.map(|answer| answer.rows)
}

async fn assert_there(sql: &EmbeddedSql, session: &mut Session, rows: i64) {
    let count = run(sql, session, "SELECT count(*) FROM t").await;
    assert_eq!(count, Ok(vec![vec![Value::Integer(rows)]]));
}

/// The first child: its disk becomes read-only, in the midst of a transaction of one Store. Another has a database
/// on a disk that does not.
#[tokio::test]
async fn child_on_a_failing_disk() {
    let Some(disk) = disk() else { return };
    let sql = open(&disk);
    let elsewhere = tempfile::tempdir().unwrap();
    let neighbour = open(elsewhere.path());
    let (mut one, mut other, mut third) = (session(STORE), session(OTHER), session(STORE));
    for (sql, session) in [
        (&sql, &mut one),
        (&sql, &mut other),
        (&neighbour, &mut third),
    ] {
        let create = "CREATE TABLE IF NOT EXISTS t(a)";
        again(async || run(sql, session, create).await.is_ok()).await;
    }
    for _ in 0..ROWS {
        again(async || run(&sql, &mut one, INSERT).await.is_ok()).await;
    }
    assert_eq!(sql.health().await, Health::Reachable);
    again(async || run(&sql, &mut other, "BEGIN").await.is_ok()).await;
    run(&sql, &mut other, INSERT).await.unwrap();

    take_writes_away();
    let refused = run(&sql, &mut one, INSERT).await;
    let Err(SqlError::Unavailable(why)) = &refused else {
        panic!("{refused:?}")
    };
    assert!(why.starts_with("the disk "), "{why}");
    let lost = run(&sql, &mut other, "COMMIT").await;
    let is_told = matches!(&lost, Err(SqlError::RolledBack(why)) if why.contains("the disk "));
    assert!(is_told, "{lost:?}");
    assert_eq!(other.state, SessionState::Idle);
    assert_eq!(reason(&sql.health().await), Some(Reason::ReadOnly));
    assert_there(&sql, &mut one, ROWS).await;
    assert_there(&sql, &mut other, 0).await;
    run(&neighbour, &mut third, INSERT).await.unwrap();
    assert_eq!(neighbour.health().await, Health::Reachable);
    println!("refused: {why}");
}

/// The second child: somebody put the disk right.
#[tokio::test]
async fn child_on_a_disk_that_was_mended() {
    let Some(disk) = disk() else { return };
    let sql = open(&disk);
    let (mut one, mut other) = (session(STORE), session(OTHER));
    assert_there(&sql, &mut one, ROWS).await;
    assert_there(&sql, &mut other, 0).await;
    again(async || run(&sql, &mut one, INSERT).await.is_ok()).await;
    assert_there(&sql, &mut one, ROWS + 1).await;
    assert_eq!(sql.health().await, Health::Reachable);
    println!("mended");
}
