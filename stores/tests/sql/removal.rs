//! A database that goes.

use shoal_stores::{
    SqlError,
    sql::{Session, SessionState},
};

use crate::{Databases, session};

#[tokio::test]
async fn nothing_is_left_of_it_and_its_neighbour_is_as_before() {
    let databases = Databases::open();
    let (one, neighbour) = (&mut session(), &mut session());
    for session in [&mut *one, neighbour] {
        databases.run(session, "CREATE TABLE t(a)").await.unwrap();
    }
    let id = one.store.to_string();
    databases.sql.remove(one.store).await.unwrap();
    assert_eq!(databases.sql.bytes(one.store).await.unwrap(), 0);
    let left = std::fs::read_dir(databases.folder.path().join("sql")).unwrap();
    let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<_> = names.filter(|name| name.contains(&id)).collect();
    assert_eq!(names, [""; 0]);
    assert_eq!(
        databases.number(neighbour, "SELECT count(*) FROM t").await,
        0
    );
    databases.sql.remove(one.store).await.unwrap();
}

#[tokio::test]
async fn what_is_open_or_runs_is_given_up_first() {
    let databases = Databases::open();
    let writer = &mut session();
    for statement in ["CREATE TABLE t(a)", "BEGIN", "INSERT INTO t VALUES (1)"] {
        databases.run(writer, statement).await.unwrap();
    }
    let store = writer.store;
    let [reader, waiter, third] = &mut [store; 3].map(Session::new);
    let long = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000000)
                SELECT count(*) FROM n";
    let (_, waited, removed) = tokio::join!(
        databases.run(reader, long),
        databases.run(waiter, "INSERT INTO t VALUES (2)"),
        async {
            // Two run at once: when this one has, the writer was found to have to wait.
            databases.run(third, "SELECT 1").await.unwrap();
            databases.sql.remove(store).await
        },
    );
    removed.unwrap();
    assert!(
        matches!(waited, Err(SqlError::Unavailable(_))),
        "the writer was in its way: {waited:?}"
    );
    assert_eq!(writer.state, SessionState::InTransaction);
    let error = databases.run(writer, "COMMIT").await.unwrap_err();
    assert!(matches!(error, SqlError::RolledBack(_)), "{error:?}");
}

#[tokio::test]
async fn what_it_holds_is_known_while_it_is_in_use_and_after_it_was_closed() {
    let databases = Databases::open();
    let session = &mut session();
    assert_eq!(databases.sql.bytes(session.store).await.unwrap(), 0);
    databases.run(session, "CREATE TABLE t(a)").await.unwrap();
    let mut before = databases.sql.bytes(session.store).await.unwrap();
    assert!(before > 0);
    for _ in 0..3 {
        let insert = "INSERT INTO t VALUES (randomblob(50000))";
        databases.run(session, insert).await.unwrap();
        let bytes = databases.sql.bytes(session.store).await.unwrap();
        // All of it but what fits beside other rows has pages of its own.
        assert!(bytes >= before + 49_000, "{bytes} after {before}");
        before = bytes;
    }
    let databases = databases.reopen();
    for _ in 0..2 {
        assert_eq!(databases.sql.bytes(session.store).await.unwrap(), before);
    }
    databases.run(session, "DELETE FROM t").await.unwrap();
    let bytes = databases.sql.bytes(session.store).await.unwrap();
    assert!(bytes < before, "{bytes}");
}
