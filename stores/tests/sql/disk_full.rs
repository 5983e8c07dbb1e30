//! A disk that is full fails statements with a plain reason, and nothing has to be restarted once it is not.

use std::path::Path;

use shoal_mounts::{Apart, enlarge};
use shoal_stores::{
    EmbeddedSql, Health, Reason, Sql, SqlError, StoreLimits,
    embedded::Durability,
    sql::{Answer, Session, Statement, Value},
};

use crate::session;

const FOLDER: &str = "SHOAL_TEST_SQL_SMALL_DISK";
const INSERT: &str = "INSERT INTO t(a) VALUES (randomblob(20000))";

async fn run(sql: &EmbeddedSql, session: &mut Session, text: &str) -> Result<Answer, SqlError> {
    let statement = Statement {
        text: text.to_owned(),
        parameters: Vec::new(),
    };
    sql.execute(session, statement, StoreLimits::default())
        .await
}

async fn rows(sql: &EmbeddedSql, session: &mut Session) -> i64 {
    let answer = run(sql, session, "SELECT count(*) FROM t").await.unwrap();
    match answer.rows[0][0] {
        Value::Integer(rows) => rows,
        ref other => panic!("{other:?} is no number"),
    }
}

fn failing(health: &Health) -> Option<Reason> {
    match health {
        Health::Reachable => None,
        Health::Failing { reason, .. } => Some(*reason),
    }
}

/// The child: runs where `FOLDER` is a file system of 8 MiB, which it may enlarge.
#[tokio::test]
async fn child_on_a_small_disk() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let sql = EmbeddedSql::open(&Path::new(&folder).join("sql"), Durability::Full).unwrap();
    let (mut one, mut other) = (session(), session());
    for session in [&mut one, &mut other] {
        let create = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)";
        run(&sql, session, create).await.unwrap();
    }
    run(&sql, &mut other, INSERT).await.unwrap();
    assert_eq!(sql.health().await, Health::Reachable);

    let full = "the disk is full";
    let (mut written, mut refused) = (0, 0);
    // What is in a log may find room in the database once more.
    while failing(&sql.health().await).is_none() {
        match run(&sql, &mut one, INSERT).await {
            Ok(_) => written += 1,
            Err(error) => {
                assert_eq!(error, SqlError::Unavailable(full.to_owned()));
                refused += 1;
            }
        }
        assert!(written < 1000, "the disk never filled");
        assert!(
            refused < 10,
            "the databases are well though the disk is full"
        );
    }
    assert!(written > 20, "{written} rows fit");
    assert_eq!(failing(&sql.health().await), Some(Reason::ReadOnly));
    let refused = run(&sql, &mut one, INSERT).await;
    assert_eq!(refused, Err(SqlError::Unavailable(full.to_owned())));
    assert_eq!(
        rows(&sql, &mut one).await,
        written,
        "what was acknowledged is there"
    );
    assert_eq!(
        rows(&sql, &mut other).await,
        1,
        "a neighbour's database is read"
    );

    run(&sql, &mut other, "BEGIN").await.unwrap();
    let much = "INSERT INTO t(a) VALUES (randomblob(900000))";
    let error = loop {
        if let Err(error) = run(&sql, &mut other, much).await {
            break error;
        }
        if let Err(error) = run(&sql, &mut other, "COMMIT").await {
            break error;
        }
        run(&sql, &mut other, "BEGIN").await.unwrap();
    };
    let is_told = matches!(&error, SqlError::RolledBack(why) if why.contains(full));
    assert!(is_told, "{error:?}");
    let kept = rows(&sql, &mut other).await;

    enlarge(&folder, "64m");
    run(&sql, &mut one, INSERT).await.unwrap();
    assert_eq!(failing(&sql.health().await), None);
    assert_eq!(rows(&sql, &mut one).await, written + 1);
    assert_eq!(rows(&sql, &mut other).await, kept);
    println!("recovered after {written} rows");
}

#[test]
fn a_full_disk_fails_statements_plainly_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let apart = Apart {
        test: "disk_full::child_on_a_small_disk",
        mount: "mount -t tmpfs -o size=8m tmpfs \"$1\"",
        place: folder.path(),
        environment: &[(FOLDER, folder.path())],
        as_root: false,
        word: "recovered",
    };
    apart.run("SQL on a full disk");
}
