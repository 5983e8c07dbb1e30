//! A process that is killed in the middle of transactions loses none that it acknowledged, and keeps
//! no part of one that it did not finish.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use shoal_stores::{
    EmbeddedSql, Sql, StoreId, StoreLimits,
    embedded::Durability,
    sql::{Session, Statement, Value},
};

const FOLDER: &str = "SHOAL_TEST_SQL_KILL_FOLDER";
const STORES: [&str; 4] = [
    "6a0c8f9e-3b1d-4d54-9c56-0d6f1b1a2c3d",
    "6a0c8f9e-3b1d-4d54-9c56-0d6f1b1a2c3e",
    "6a0c8f9e-3b1d-4d54-9c56-0d6f1b1a2c3f",
    "6a0c8f9e-3b1d-4d54-9c56-0d6f1b1a2c40",
];
/// Rows of one transaction.
const ROWS: i64 = 3;

async fn run(sql: &EmbeddedSql, session: &mut Session, text: &str) -> Vec<Vec<Value>> {
    let statement = Statement {
        text: text.to_owned(),
        parameters: Vec::new(),
    };
    let limits = StoreLimits::default();
    sql.execute(session, statement, limits).await.unwrap().rows
}

/// The child: transactions without end; says each once it is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_commits_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let sql = EmbeddedSql::open(folder.as_ref(), Durability::Full).unwrap();
    let write = async |store: &str| {
        let session = &mut Session::new(store.parse().unwrap());
        run(&sql, session, "CREATE TABLE t(number, part, filler)").await;
        for number in 0..1_000_000 {
            run(&sql, session, "BEGIN").await;
            for part in 0..ROWS {
                let insert = format!("INSERT INTO t VALUES ({number}, {part}, randomblob(3000))");
                run(&sql, session, &insert).await;
            }
            run(&sql, session, "COMMIT").await;
            std::io::stdout()
                .lock()
                .write_all(format!("acknowledged {store} {number}\n").as_bytes())
                .unwrap();
        }
    };
    futures::future::join_all(STORES.map(write)).await;
}

#[tokio::test]
async fn killing_the_process_loses_no_acknowledged_transaction_and_halves_none() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let databases = folder.path().join(round.to_string());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "kill::child_that_commits_until_it_is_killed",
                "--nocapture",
            ])
            .env(FOLDER, &databases)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged: Vec<(String, i64)> = Vec::new();
        let mut read = |acknowledged: &mut Vec<(String, i64)>| {
            let line = lines.next()?.ok()?;
            // The first line may follow the test harness's own words.
            if let Some((_, rest)) = line.split_once("acknowledged ") {
                let (store, number) = rest.split_once(' ').unwrap();
                acknowledged.push((store.to_owned(), number.parse().unwrap()));
            }
            Some(())
        };
        while acknowledged.len() < 300 * round {
            read(&mut acknowledged).expect("the child ended by itself");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        while read(&mut acknowledged).is_some() {}

        let sql = EmbeddedSql::open(&databases, Durability::Full).unwrap();
        for store in STORES {
            let id: StoreId = store.parse().unwrap();
            let session = &mut Session::new(id);
            let last = acknowledged.iter().filter(|(of, _)| of == store);
            let last = last.map(|(_, number)| *number).max().unwrap();
            let halves =
                "SELECT count(*) FROM (SELECT 1 FROM t GROUP BY number HAVING count(*) <> 3)";
            assert_eq!(run(&sql, session, halves).await, [[Value::Integer(0)]]);
            let kept = "SELECT count(DISTINCT number), max(number) FROM t";
            let [row] = run(&sql, session, kept).await.try_into().unwrap();
            let (Value::Integer(count), Value::Integer(max)) = (&row[0], &row[1]) else {
                panic!("{row:?}");
            };
            assert_eq!(*count, max + 1, "one in the middle is gone");
            assert!(
                *max >= last,
                "{last} was acknowledged, {max} is the last that is there"
            );
            let check = run(&sql, session, "PRAGMA integrity_check").await;
            assert_eq!(check, [[Value::Text("ok".into())]]);
        }
    }
}
