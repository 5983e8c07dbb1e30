//! Bounds on one statement: past each the error is the limit's, and names it.

use shoal_stores::{
    SqlError,
    sql::{MAX_ANSWER_BYTES, MAX_ANSWER_ROWS, MAX_STATEMENT_BYTES, Session},
};

use crate::{Databases, session, text};

fn names(error: &SqlError, limit: impl ToString) {
    let limit = limit.to_string();
    assert!(
        matches!(error, SqlError::LimitExceeded(why) if why.contains(&limit)),
        "{limit}: {error:?}"
    );
}

#[tokio::test]
async fn a_statement_has_so_many_bytes_of_text_and_of_parameters() {
    let databases = Databases::open();
    let session = &mut session();
    let statement = |bytes: usize| "SELECT 1 --".to_owned() + &"x".repeat(bytes - 11);
    databases
        .run(session, &statement(MAX_STATEMENT_BYTES))
        .await
        .unwrap();
    let error = databases
        .run(session, &statement(MAX_STATEMENT_BYTES + 1))
        .await
        .unwrap_err();
    names(&error, MAX_STATEMENT_BYTES);
    let many: Vec<_> = (0..9).map(|_| text(&"x".repeat(1 << 20))).collect();
    let ask = "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9";
    let error = databases.with(session, ask, &many).await.unwrap_err();
    names(&error, shoal_stores::MAX_BYTES_PER_CALL);
}

#[tokio::test]
async fn an_answer_has_so_many_rows_and_bytes() {
    let databases = Databases::open();
    let session = &mut session();
    let rows = |count: usize, what: &str| {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {count}) SELECT {what} FROM n"
        )
    };
    let most = databases.run(session, &rows(MAX_ANSWER_ROWS, "1")).await;
    assert_eq!(most.unwrap().rows.len(), MAX_ANSWER_ROWS);
    let more = databases
        .run(session, &rows(MAX_ANSWER_ROWS + 1, "1"))
        .await;
    names(&more.unwrap_err(), MAX_ANSWER_ROWS);

    let fits = MAX_ANSWER_BYTES / 1_001_000;
    let most = databases
        .run(session, &rows(fits, "zeroblob(1000000)"))
        .await;
    assert!(most.unwrap().bytes() <= MAX_ANSWER_BYTES);
    let more = databases
        .run(session, &rows(fits + 1, "zeroblob(1000000)"))
        .await;
    names(&more.unwrap_err(), MAX_ANSWER_BYTES);
}

/// Whoever keeps it open by statement after statement is ended as well.
#[tokio::test]
async fn a_transaction_has_so_much_time_however_busy_it_is() {
    let databases = Databases::open();
    let busy = &mut session();
    databases.run(busy, "CREATE TABLE t(a)").await.unwrap();
    databases.run(busy, "BEGIN").await.unwrap();
    let error = loop {
        if let Err(error) = databases.run(busy, "INSERT INTO t VALUES (1)").await {
            break error;
        }
    };
    assert!(matches!(error, SqlError::RolledBack(_)), "{error:?}");
    assert!(error.to_string().contains("5 s"), "{error}");
    let count = "SELECT count(*) FROM t";
    assert_eq!(databases.number(busy, count).await, 0);
    let other = &mut Session::new(busy.store);
    databases
        .run(other, "INSERT INTO t VALUES (1)")
        .await
        .unwrap();
}
