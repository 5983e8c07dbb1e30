//! A database that has reached its bytes.

use shoal_stores::{SqlError, StoreLimits};

use crate::{Databases, session};

const LIMIT: u64 = 1 << 20;

#[tokio::test]
async fn a_full_database_says_so_keeps_what_it_has_and_takes_more_after_a_delete() {
    let databases = Databases::open();
    let session = &mut session();
    let limits = StoreLimits {
        bytes: Some(LIMIT),
        ..StoreLimits::default()
    };
    let create = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)";
    databases
        .limited(session, create, &[], limits)
        .await
        .unwrap();
    let insert = "INSERT INTO t(a) VALUES (randomblob(20000))";
    let mut rows = 0;
    let error = loop {
        match databases.limited(session, insert, &[], limits).await {
            Ok(_) => rows += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SqlError::Full(_)), "{error:?}");
    assert!(error.to_string().contains(&LIMIT.to_string()), "{error}");
    assert!(
        (40..=52).contains(&rows),
        "{rows} rows of 20 kB fit into 1 MiB"
    );
    let held = databases.sql.bytes(session.store).await.unwrap();
    assert!(held <= LIMIT, "{held}");
    assert_eq!(
        databases.number(session, "SELECT count(*) FROM t").await,
        rows
    );

    let delete = "DELETE FROM t WHERE id <= 10";
    databases
        .limited(session, delete, &[], limits)
        .await
        .unwrap();
    for _ in 0..5 {
        databases
            .limited(session, insert, &[], limits)
            .await
            .unwrap();
    }
    assert_eq!(
        databases.number(session, "SELECT count(*) FROM t").await,
        rows - 5
    );
}

#[tokio::test]
async fn one_statement_that_is_too_much_leaves_the_transaction_or_says_that_it_is_over() {
    let databases = Databases::open();
    let session = &mut session();
    let limits = StoreLimits {
        bytes: Some(LIMIT),
        ..StoreLimits::default()
    };
    for statement in ["CREATE TABLE t(a)", "BEGIN", "INSERT INTO t VALUES (1)"] {
        databases
            .limited(session, statement, &[], limits)
            .await
            .unwrap();
    }
    let much =
        "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 99)
                SELECT randomblob(50000) FROM n";
    let error = databases
        .limited(session, much, &[], limits)
        .await
        .unwrap_err();
    let committed = databases.limited(session, "COMMIT", &[], limits).await;
    let rows = databases.number(session, "SELECT count(*) FROM t").await;
    match error {
        SqlError::Full(_) => assert_eq!((committed.is_ok(), rows), (true, 1)),
        SqlError::RolledBack(_) => assert_eq!((committed.is_ok(), rows), (false, 0)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_limit_that_was_raised_counts_at_once() {
    let databases = Databases::open();
    let session = &mut session();
    let limits = |bytes| StoreLimits {
        bytes: Some(bytes),
        ..StoreLimits::default()
    };
    let insert = "INSERT INTO t VALUES (randomblob(100000))";
    databases
        .limited(session, "CREATE TABLE t(a)", &[], limits(50_000))
        .await
        .unwrap();
    let error = databases
        .limited(session, insert, &[], limits(50_000))
        .await
        .unwrap_err();
    assert!(matches!(error, SqlError::Full(_)), "{error:?}");
    databases
        .limited(session, insert, &[], limits(1 << 20))
        .await
        .unwrap();
}
