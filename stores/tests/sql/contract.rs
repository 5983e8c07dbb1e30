//! What every statement can count on.

use shoal_stores::{
    SqlError, StoreLimits,
    sql::{MAX_ANSWER_ROWS, Session, SessionState, Value},
};

use crate::{Databases, blob, session, text};

#[tokio::test]
async fn values_of_every_kind_come_back_as_they_were_given() {
    let databases = Databases::open();
    let session = &mut session();
    let create = "CREATE TABLE t(i INTEGER, r REAL, s TEXT, b BLOB, n)";
    let nothing = databases.run(session, create).await.unwrap();
    assert!(nothing.columns.is_empty() && nothing.rows.is_empty());
    let values = [
        Value::Integer(i64::MIN),
        Value::Real(-0.5),
        text("naïve \0 'quote\""),
        blob(&[0, 255, 1]),
        Value::Null,
    ];
    let insert = "INSERT INTO t VALUES (?, ?, ?, ?, ?)";
    databases.with(session, insert, &values).await.unwrap();
    let answer = databases
        .run(session, "SELECT i, r, s, b, n AS other FROM t")
        .await
        .unwrap();
    assert_eq!(answer.columns, ["i", "r", "s", "b", "other"]);
    assert_eq!(answer.rows, [values.to_vec()]);
    assert_eq!(session.state, SessionState::Idle);
}

#[tokio::test]
async fn an_error_is_the_statements_own_and_the_next_one_does_as_before() {
    let databases = Databases::open();
    let session = &mut session();
    databases
        .run(session, "CREATE TABLE t(a UNIQUE)")
        .await
        .unwrap();
    databases
        .run(session, "INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    for (statement, word) in [
        ("SELEC 1", "SELEC"),
        ("SELECT * FROM missing", "no such table: missing"),
        ("INSERT INTO t VALUES (1)", "UNIQUE constraint failed: t.a"),
        ("SELECT ?1, ?2", "2 parameters; 0 were given"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("SELECT 1 \0; DROP TABLE t", "NUL"),
        ("SELECT CAST(x'ff' AS TEXT) AS odd", "`odd` is not UTF-8"),
    ] {
        let error = databases.run(session, statement).await.unwrap_err();
        assert!(
            matches!(error, SqlError::Statement(_)),
            "{statement}: {error:?}"
        );
        assert!(error.to_string().contains(word), "{statement}: {error}");
    }
    assert_eq!(databases.number(session, "SELECT count(*) FROM t").await, 1);
    databases.run(session, "-- nothing").await.unwrap();
    assert_eq!(databases.number(session, "SELECT 7; -- end").await, 7);
}

#[tokio::test]
async fn what_was_written_is_there_after_all_files_were_closed() {
    let databases = Databases::open();
    let session = &mut session();
    databases.run(session, "CREATE TABLE t(a)").await.unwrap();
    databases
        .run(session, "INSERT INTO t VALUES (42)")
        .await
        .unwrap();
    let databases = databases.reopen();
    assert_eq!(databases.number(session, "SELECT a FROM t").await, 42);
}

#[tokio::test]
async fn a_connection_knows_its_own_last_row_whoever_writes_beside_it() {
    let databases = Databases::open();
    let first = &mut session();
    let second = &mut Session::new(first.store);
    databases
        .run(first, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
        .await
        .unwrap();
    databases
        .run(first, "INSERT INTO t VALUES (10, 'x')")
        .await
        .unwrap();
    databases
        .run(second, "INSERT INTO t VALUES (77, 'x'), (78, 'x')")
        .await
        .unwrap();
    assert_eq!(
        databases.number(first, "SELECT last_insert_rowid()").await,
        10
    );
    assert_eq!(databases.number(second, "SELECT changes()").await, 2);
    // So many others that its connection was given away: it is never given their row or number.
    for id in 100..110 {
        let other = &mut Session::new(first.store);
        let insert = format!("INSERT INTO t VALUES ({id}, 'x')");
        databases.run(other, &insert).await.unwrap();
    }
    let error = databases.run(first, "SELECT changes()").await.unwrap_err();
    assert!(error.to_string().contains("RETURNING"), "{error}");
    assert_eq!(
        databases.number(first, "SELECT last_insert_rowid()").await,
        10
    );
    assert_eq!((first.last_insert_rowid, first.changes), (10, 1));
    assert_eq!((second.last_insert_rowid, second.changes), (78, 2));
    assert_eq!(databases.number(first, "SELECT count(*) FROM t").await, 13);
}

/// What SQLite's own counters say after the same statements, on one connection that nobody else uses.
#[tokio::test]
async fn a_session_counts_as_sqlite_does() {
    let databases = Databases::open();
    let session = &mut session();
    let twin = &mut Session::new(session.store);
    for statement in [
        "SELECT 1",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE)",
        "INSERT INTO t(a) VALUES (1), (2), (3)",
        "CREATE TABLE log(a)",
        "CREATE TABLE copy AS SELECT * FROM t",
        "CREATE TRIGGER l AFTER DELETE ON t BEGIN INSERT INTO log VALUES (old.a); END",
        "DELETE FROM t WHERE id > 1",
        "INSERT OR IGNORE INTO t(a) VALUES (1)",
        "INSERT INTO t(a) VALUES (1) ON CONFLICT DO UPDATE SET a = 9",
        "UPDATE t SET a = 1 WHERE 0",
        "INSERT INTO t(id, a) VALUES (50, 50) RETURNING id",
        "CREATE TABLE nameless(a PRIMARY KEY) WITHOUT ROWID",
        "INSERT INTO nameless VALUES (99)",
        "ANALYZE",
        "PRAGMA optimize",
        "EXPLAIN DELETE FROM t",
        "ALTER TABLE t RENAME COLUMN a TO b",
        "CREATE INDEX i ON t(b)",
        "CREATE VIRTUAL TABLE text USING fts5(a)",
        "INSERT INTO text VALUES ('x'), ('y')",
        "BEGIN",
        "INSERT INTO t(b) VALUES (60), (61)",
        "ROLLBACK",
        "DROP TABLE copy",
        "DELETE FROM t",
    ] {
        databases.run(session, statement).await.unwrap();
        if statement.starts_with("CREATE VIRTUAL") {
            // The module fills tables of its own, which only SQLite counts.
            continue;
        }
        let answer = databases
            .run(session, "SELECT last_insert_rowid(), changes()")
            .await
            .unwrap();
        let counted = [
            Value::Integer(session.last_insert_rowid),
            Value::Integer(session.changes as i64),
        ];
        assert_eq!(answer.rows[0], counted, "{statement}");
        databases.run(twin, "SELECT 1").await.unwrap();
    }
    assert_eq!((twin.last_insert_rowid, twin.changes), (0, 0));
}

#[tokio::test]
async fn a_table_can_be_made_into_another() {
    let databases = Databases::open();
    let session = &mut session();
    for statement in [
        "CREATE TABLE old(a, b)",
        "CREATE INDEX i ON old(a)",
        "CREATE VIEW v AS SELECT a FROM old",
        "INSERT INTO old VALUES (1, 2)",
        "ALTER TABLE old RENAME TO new",
        "ALTER TABLE new RENAME COLUMN a TO c",
        "ALTER TABLE new ADD COLUMN d DEFAULT 3",
        "ALTER TABLE new DROP COLUMN b",
    ] {
        let done = databases.run(session, statement).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    let answer = databases.run(session, "SELECT * FROM new").await.unwrap();
    assert_eq!(answer.columns, ["c", "d"]);
    assert_eq!(databases.number(session, "SELECT * FROM v").await, 1);
    for statement in [
        "UPDATE sqlite_temp_master SET sql = 'x'",
        "DELETE FROM sqlite_temp_schema",
        "INSERT INTO temp.sqlite_master VALUES (1, 2, 3, 4, 5)",
    ] {
        let refused = databases.run(session, statement).await;
        assert!(
            matches!(refused, Err(SqlError::Statement(_))),
            "{statement}"
        );
    }
}

#[tokio::test]
async fn a_setting_is_not_left_to_the_next_session() {
    let databases = Databases::open();
    let store = session().store;
    for _ in 0..10 {
        let session = &mut Session::new(store);
        assert_eq!(databases.number(session, "PRAGMA foreign_keys").await, 1);
        databases
            .run(session, "PRAGMA foreign_keys = OFF")
            .await
            .unwrap();
        assert_eq!(databases.number(session, "PRAGMA foreign_keys").await, 0);
    }
}

#[tokio::test]
async fn an_answer_past_its_bounds_is_an_error_that_names_them_and_writes_nothing() {
    let databases = Databases::open();
    let session = &mut session();
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) ";
    let error = databases
        .run(session, &format!("{rows} SELECT i FROM n"))
        .await;
    let error = error.unwrap_err();
    assert!(
        error.to_string().contains(&MAX_ANSWER_ROWS.to_string()),
        "{error}"
    );
    let large = format!("{rows} SELECT zeroblob(500000) FROM n");
    let error = databases.run(session, &large).await.unwrap_err();
    assert!(matches!(error, SqlError::LimitExceeded(_)), "{error:?}");
    assert!(error.to_string().contains("bytes"), "{error}");

    databases.run(session, "CREATE TABLE t(a)").await.unwrap();
    let write = format!("INSERT INTO t {rows} SELECT i FROM n RETURNING a");
    let error = databases.run(session, &write).await.unwrap_err();
    assert!(matches!(error, SqlError::LimitExceeded(_)), "{error:?}");
    assert_eq!(databases.number(session, "SELECT count(*) FROM t").await, 0);
    let few = "INSERT INTO t VALUES (1), (2) RETURNING a";
    assert_eq!(databases.run(session, few).await.unwrap().rows.len(), 2);
    assert_eq!(databases.number(session, "SELECT count(*) FROM t").await, 2);
}

#[tokio::test]
async fn full_text_search_with_its_triggers_is_there() {
    let databases = Databases::open();
    let session = &mut session();
    for statement in [
        "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)",
        "CREATE VIRTUAL TABLE found USING fts5(body, content='note', content_rowid='id')",
        "CREATE TRIGGER note_new AFTER INSERT ON note BEGIN
             INSERT INTO found(rowid, body) VALUES (new.id, new.body);
         END",
        "INSERT INTO note(body) VALUES ('a shoal of fish'), ('a flock of birds')",
    ] {
        databases.run(session, statement).await.unwrap();
    }
    let search = "SELECT count(*) FROM found WHERE found MATCH 'fish'";
    assert_eq!(databases.number(session, search).await, 1);
    assert_eq!(
        databases
            .number(session, "SELECT json_extract('{\"a\":3}', '$.a')")
            .await,
        3
    );
}

#[tokio::test]
async fn many_more_databases_than_can_be_open_are_served() {
    let databases = Databases::open();
    let mut sessions: Vec<Session> = (0..300).map(|_| session()).collect();
    for (index, session) in (0..).zip(&mut sessions) {
        databases.run(session, "CREATE TABLE t(a)").await.unwrap();
        let insert = "INSERT INTO t VALUES (?)";
        databases
            .with(session, insert, &[Value::Integer(index)])
            .await
            .unwrap();
    }
    for (index, session) in (0..).zip(&mut sessions) {
        assert_eq!(databases.number(session, "SELECT a FROM t").await, index);
    }
    let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
    assert!(files < 3 * 128 + 100, "{files} files are open");
}

#[tokio::test]
async fn content_is_counted_in_bytes_and_free_pages_are_not() {
    let databases = Databases::open();
    let session = &mut session();
    databases.run(session, "CREATE TABLE t(a)").await.unwrap();
    let empty = databases.sql.bytes(session.store).await.unwrap();
    let insert = "INSERT INTO t VALUES (zeroblob(1000000))";
    databases.run(session, insert).await.unwrap();
    let full = databases.sql.bytes(session.store).await.unwrap();
    assert!(full >= empty + 990_000, "{empty} {full}");
    databases.run(session, "DELETE FROM t").await.unwrap();
    assert_eq!(databases.sql.bytes(session.store).await.unwrap(), empty);
}

#[tokio::test]
async fn a_value_past_its_limit_is_refused_by_name() {
    let databases = Databases::open();
    let session = &mut session();
    databases.run(session, "CREATE TABLE t(a)").await.unwrap();
    let limits = StoreLimits {
        value_bytes: 100_000,
        ..StoreLimits::default()
    };
    let insert = "INSERT INTO t VALUES (?)";
    let value = |bytes: usize| [Value::Blob(vec![1; bytes].into())];
    let small = databases
        .limited(session, insert, &value(90_000), limits)
        .await;
    assert!(small.is_ok(), "{small:?}");
    let error = databases
        .limited(session, insert, &value(100_001), limits)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("100000"), "{error}");
}
