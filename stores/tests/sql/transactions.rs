//! Transactions that a session holds across calls.

use std::time::{Duration, Instant};

use shoal_stores::{
    Sql, SqlError,
    sql::{Session, SessionState},
};

use crate::{Databases, session};

const COUNT: &str = "SELECT count(*) FROM t";
const INSERT: &str = "INSERT INTO t VALUES (1)";

async fn with_table() -> (Databases, Session) {
    let databases = Databases::open();
    let mut session = session();
    databases
        .run(&mut session, "CREATE TABLE t(a)")
        .await
        .unwrap();
    (databases, session)
}

#[tokio::test]
async fn a_transaction_is_seen_by_others_as_a_whole_or_not_at_all() {
    let (databases, mut writer) = with_table().await;
    let reader = &mut Session::new(writer.store);
    for end in ["ROLLBACK", "COMMIT"] {
        databases.run(&mut writer, "BEGIN").await.unwrap();
        assert_eq!(writer.state, SessionState::InTransaction);
        databases.run(&mut writer, INSERT).await.unwrap();
        databases.run(&mut writer, INSERT).await.unwrap();
        assert_eq!(databases.number(&mut writer, COUNT).await, 2);
        assert_eq!(databases.number(reader, COUNT).await, 0, "before {end}");
        databases.run(&mut writer, end).await.unwrap();
        assert_eq!(writer.state, SessionState::Idle);
    }
    assert_eq!(databases.number(reader, COUNT).await, 2);
}

#[tokio::test]
async fn savepoints_are_transactions_too() {
    let (databases, mut session) = with_table().await;
    for statement in [
        "SAVEPOINT a",
        INSERT,
        "SAVEPOINT b",
        INSERT,
        "ROLLBACK TO b",
        "RELEASE a",
    ] {
        databases.run(&mut session, statement).await.unwrap();
    }
    assert_eq!(session.state, SessionState::Idle);
    assert_eq!(databases.number(&mut session, COUNT).await, 1);
}

#[tokio::test]
async fn a_failed_statement_in_a_transaction_is_undone_alone() {
    let (databases, mut session) = with_table().await;
    databases
        .run(&mut session, "CREATE UNIQUE INDEX one ON t(a)")
        .await
        .unwrap();
    databases.run(&mut session, "BEGIN").await.unwrap();
    databases.run(&mut session, INSERT).await.unwrap();
    let error = databases.run(&mut session, INSERT).await.unwrap_err();
    assert!(matches!(error, SqlError::Statement(_)), "{error:?}");
    databases
        .run(&mut session, "INSERT INTO t VALUES (2) RETURNING a")
        .await
        .unwrap();
    databases.run(&mut session, "COMMIT").await.unwrap();
    assert_eq!(databases.number(&mut session, COUNT).await, 2);
}

#[tokio::test]
async fn writers_wait_for_an_open_transaction_and_none_of_them_fails() {
    let (databases, mut holder) = with_table().await;
    let store = holder.store;
    databases.run(&mut holder, "BEGIN").await.unwrap();
    databases.run(&mut holder, INSERT).await.unwrap();
    let waiting = async |_| {
        let session = &mut Session::new(store);
        for statement in ["BEGIN", COUNT, INSERT, "COMMIT", INSERT] {
            databases.run(session, statement).await.unwrap();
        }
    };
    let others = futures::future::join_all((0..10).map(waiting));
    let commit = async {
        // A reader shows that the others had their turn.
        let reader = &mut Session::new(store);
        assert_eq!(databases.number(reader, COUNT).await, 0);
        databases.run(&mut holder, "COMMIT").await.unwrap();
    };
    futures::future::join(others, commit).await;
    assert_eq!(databases.number(&mut holder, COUNT).await, 21);
}

#[tokio::test]
async fn a_transaction_that_is_left_open_is_rolled_back_and_its_owner_is_told() {
    let (databases, mut forgetful) = with_table().await;
    databases.run(&mut forgetful, "BEGIN").await.unwrap();
    databases.run(&mut forgetful, INSERT).await.unwrap();
    // It waits for as long as the transaction may be open. One that was not answered may have been done all the same.
    const OTHER: &str = "INSERT INTO t VALUES (2)";
    let other = &mut Session::new(forgetful.store);
    let begin = Instant::now();
    while databases.run(other, OTHER).await.is_err() {
        assert!(
            begin.elapsed() < Duration::from_secs(180),
            "it is never rolled back"
        );
    }
    let error = databases.run(&mut forgetful, "COMMIT").await.unwrap_err();
    assert!(matches!(error, SqlError::RolledBack(_)), "{error:?}");
    assert_eq!(forgetful.state, SessionState::Idle);
    let left = "SELECT count(*) FROM t WHERE a = 1";
    assert_eq!(databases.number(&mut forgetful, left).await, 0);
    assert!(databases.number(&mut forgetful, COUNT).await > 0);
}

#[tokio::test]
async fn closing_a_session_rolls_back_at_once() {
    let (databases, mut session) = with_table().await;
    databases
        .run(&mut session, "BEGIN IMMEDIATE")
        .await
        .unwrap();
    databases.run(&mut session, INSERT).await.unwrap();
    databases.sql.close(&session);
    let other = &mut Session::new(session.store);
    databases.run(other, INSERT).await.unwrap();
    assert_eq!(databases.number(other, COUNT).await, 1);
}

#[tokio::test]
async fn no_statement_of_a_transaction_is_done_outside_of_it() {
    let (databases, mut session) = with_table().await;
    databases.run(&mut session, "BEGIN").await.unwrap();
    databases.run(&mut session, INSERT).await.unwrap();
    let databases = databases.reopen();
    let error = databases.run(&mut session, INSERT).await.unwrap_err();
    assert!(matches!(error, SqlError::RolledBack(_)), "{error:?}");
    assert_eq!(databases.number(&mut session, COUNT).await, 0);

    // The answer to BEGIN was lost: the owner does not know of the transaction.
    databases.run(&mut session, "BEGIN").await.unwrap();
    session.state = SessionState::Idle;
    let error = databases.run(&mut session, INSERT).await.unwrap_err();
    assert!(matches!(error, SqlError::RolledBack(_)), "{error:?}");
    databases.run(&mut session, INSERT).await.unwrap();
    assert_eq!(
        databases
            .number(&mut Session::new(session.store), COUNT)
            .await,
        1
    );
}

/// Closes a session in the middle of a statement without end. Whether another session of its Store wrote before a
/// statement ended that began earlier, and has as much time.
async fn another_writes_after_closing() -> bool {
    let (databases, mut session) = with_table().await;
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                   SELECT 1 FROM n WHERE i < 0";
    let neighbour = &mut crate::session();
    let mut earlier = Box::pin(databases.run(neighbour, endless));
    assert!(futures::poll!(earlier.as_mut()).is_pending());

    databases.run(&mut session, "BEGIN").await.unwrap();
    let endless = format!("INSERT INTO t {endless}");
    let mut call = Box::pin(databases.run(&mut session, &endless));
    assert!(futures::poll!(call.as_mut()).is_pending());
    drop(call);
    databases.sql.close(&session);
    let other = &mut Session::new(session.store);
    let written = tokio::select! {
        biased;
        _ = earlier => return false,
        written = databases.run(other, INSERT) => written,
    };
    written.unwrap();
    assert_eq!(databases.number(other, COUNT).await, 1);
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_a_session_ends_what_it_still_runs() {
    // The transaction is gone with it: another writes before its time would be over. A machine that stood still for
    // all of that time shows nothing.
    for _ in 0..5 {
        if another_writes_after_closing().await {
            return;
        }
    }
    panic!("what it ran goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_increments_in_transactions_lose_nothing() {
    let (databases, mut session) = with_table().await;
    databases
        .run(&mut session, "INSERT INTO t VALUES (0)")
        .await
        .unwrap();
    let store = session.store;
    let increment = async |_| {
        let session = &mut Session::new(store);
        for _ in 0..5 {
            databases.run(session, "BEGIN").await.unwrap();
            let now = databases.number(session, "SELECT a FROM t").await;
            let update = format!("UPDATE t SET a = {}", now + 1);
            databases.run(session, &update).await.unwrap();
            databases.run(session, "COMMIT").await.unwrap();
        }
    };
    futures::future::join_all((0..8).map(increment)).await;
    assert_eq!(databases.number(&mut session, "SELECT a FROM t").await, 40);
}
