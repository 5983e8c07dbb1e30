//! SQL databases over gRPC: the same promises, and who may use which.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod served;

use served::{Served, identity};
use shoal_protocol::{CertificateAuthority, Role};
use shoal_stores::{
    RemoteSql, Sql, SqlError, StoreId, StoreLimits,
    sql::{Answer, Session, SessionState, Statement, Value},
};

async fn run(sql: &RemoteSql, session: &mut Session, text: &str) -> Result<Answer, SqlError> {
    with(sql, session, text, Vec::new()).await
}

async fn with(
    sql: &RemoteSql,
    session: &mut Session,
    text: &str,
    parameters: Vec<Value>,
) -> Result<Answer, SqlError> {
    let statement = Statement {
        text: text.to_owned(),
        parameters,
    };
    sql.execute(session, statement, StoreLimits::default())
        .await
}

#[tokio::test]
async fn values_transactions_and_errors_are_the_same_over_the_wire() {
    let store = StoreId::random();
    let served = Served::start(&[("pod-a", &[store])]);
    let sql = served.sql("pod-a");
    let session = &mut Session::new(store);
    run(&sql, session, "CREATE TABLE t(a, b, c, d, e)")
        .await
        .unwrap();
    let values = vec![
        Value::Integer(i64::MAX),
        Value::Real(1.5),
        Value::Text("é".into()),
        Value::Blob(vec![0, 1].into()),
        Value::Null,
    ];
    let insert = "INSERT INTO t VALUES (?, ?, ?, ?, ?)";
    with(&sql, session, insert, values.clone()).await.unwrap();
    let answer = run(&sql, session, "SELECT * FROM t").await.unwrap();
    assert_eq!(answer.columns, ["a", "b", "c", "d", "e"]);
    assert_eq!(answer.rows, [values]);

    run(&sql, session, "BEGIN").await.unwrap();
    assert_eq!(session.state, SessionState::InTransaction);
    run(&sql, session, "DELETE FROM t").await.unwrap();
    let error = run(&sql, session, "SELECT * FROM missing")
        .await
        .unwrap_err();
    assert_eq!(error, SqlError::Statement("no such table: missing".into()));
    assert_eq!(
        session.state,
        SessionState::InTransaction,
        "it is still open"
    );
    run(&sql, session, "ROLLBACK").await.unwrap();
    assert_eq!(session.state, SessionState::Idle);
    let count = run(&sql, session, "SELECT count(*) FROM t").await.unwrap();
    assert_eq!(count.rows, [[Value::Integer(1)]]);
}

#[tokio::test]
async fn a_session_that_is_closed_gives_way_to_other_nodes() {
    let store = StoreId::random();
    let served = Served::start(&[("pod-a", &[store]), ("pod-b", &[store])]);
    let (a, b) = (served.sql("pod-a"), served.sql("pod-b"));
    let (first, second) = (&mut Session::new(store), &mut Session::new(store));
    run(&a, first, "CREATE TABLE t(a)").await.unwrap();
    run(&a, first, "BEGIN IMMEDIATE").await.unwrap();
    run(&a, first, "INSERT INTO t VALUES (1)").await.unwrap();
    a.close(first);
    run(&b, second, "INSERT INTO t VALUES (2)").await.unwrap();
    let rows = run(&b, second, "SELECT a FROM t").await.unwrap().rows;
    assert_eq!(rows, [[Value::Integer(2)]]);
    let error = run(&a, first, "COMMIT").await.unwrap_err();
    assert!(matches!(error, SqlError::RolledBack(_)), "{error:?}");
}

#[tokio::test]
async fn only_what_was_granted_can_be_opened_and_only_by_runtimes_of_this_cluster() {
    let (granted, other) = (StoreId::random(), StoreId::random());
    let served = Served::start(&[("pod-a", &[granted]), ("pod-b", &[other])]);
    let create = "CREATE TABLE t(a)";
    let a = served.sql("pod-a");
    run(&a, &mut Session::new(granted), create).await.unwrap();
    let denied = run(&a, &mut Session::new(other), create).await;
    assert_eq!(denied, Err(SqlError::AccessDenied));
    let c = served.sql("pod-c");
    let denied = run(&c, &mut Session::new(granted), create).await;
    assert_eq!(denied, Err(SqlError::AccessDenied));

    let builder = identity(&served.ca, Role::Builder, "pod-a");
    let builder = RemoteSql::new(&served.target, &builder).unwrap();
    let refused = run(&builder, &mut Session::new(granted), "SELECT 1").await;
    assert!(refused.is_err(), "{refused:?}");
    let strangers = CertificateAuthority::generate().unwrap();
    let stranger = identity(&strangers, Role::Runtime, "pod-a");
    let stranger = RemoteSql::new(&served.target, &stranger).unwrap();
    let error = run(&stranger, &mut Session::new(granted), "SELECT 1")
        .await
        .unwrap_err();
    assert!(matches!(error, SqlError::Unavailable(_)), "{error:?}");
    assert!(!error.to_string().contains("127.0.0.1"), "{error}");
}

#[tokio::test]
async fn a_store_that_is_not_there_is_an_error_within_the_deadline_that_names_no_host() {
    let ca = CertificateAuthority::generate().unwrap();
    let sql = RemoteSql::new("127.0.0.1:1", &identity(&ca, Role::Runtime, "pod-a")).unwrap();
    let session = &mut Session::new(StoreId::random());
    let error = run(&sql, session, "SELECT 1").await.unwrap_err();
    assert!(matches!(error, SqlError::Unavailable(_)), "{error:?}");
    assert!(!error.to_string().contains("127.0.0.1"), "{error}");
}
